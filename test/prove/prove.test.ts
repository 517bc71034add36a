import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { readUnusedFiles } from '../../src/manifest/unused-files.js';
import { type Finished, jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('prove', needs('cat', 'sort'), () => {
  const directory = tempDir();
  const inside = (name: string): string => path.join(directory, name);

  test('reports what is missing, and adds it with --add', () => {
    const jail = inside('jail');
    const data = inside('data.txt');
    writeFileSync(data, 'brought\n');
    assert.equal(jailbuild([jail, '/usr/bin/cat', '-q']).status, 0);
    const report = jailbuild(['prove', jail, '--', '/usr/bin/cat', data]);
    assert.equal(report.status, 1);
    assert.ok(report.stderr.includes(`--include ${data}`), report.stderr);
    assert.match(report.stderr, /failed right after that/);
    const json = jailbuild(['prove', jail, '--json', '--', '/usr/bin/cat', data]);
    const [round] = JSON.parse(json.stdout.slice(json.stdout.indexOf('{'))).rounds;
    const cures = round.remedies.map(({ cure }: { cure: unknown }) => cure);
    assert.deepEqual(cures[0], { kind: 'include', path: data });
    const added = jailbuild(['prove', jail, '--add', '--', '/usr/bin/cat', data]);
    assert.deepEqual([added.status, added.stdout], [0, 'brought\n'], added.stderr);
    assert.match(added.stderr, /round 2: the command succeeded/);
    assert.equal(jailbuild(['run', jail, '--', '/usr/bin/cat', data]).stdout, 'brought\n');
  });

  test('removes unused package files with --least', needs('perl'), () => {
    const jail = inside('least');
    const command = ['/usr/bin/perl', '-MPOSIX=floor', '-e', 'print floor(2.5), "\\n"'];
    assert.equal(jailbuild([jail, '/usr/bin/perl', '-q']).status, 0);
    const run = jailbuild(['prove', jail, '--add', '--least', '--json', '--', ...command]);
    assert.equal(run.status, 0, run.stderr);
    const { rounds } = JSON.parse(run.stdout.slice(run.stdout.indexOf('{')));
    const { passes, narrowed } = rounds.at(-1);
    assert.ok(passes && narrowed.to < narrowed.from / 2, JSON.stringify(narrowed));
    assert.equal(jailbuild(['run', jail, '--', ...command]).stdout, '2\n');
    assert.equal(jailbuild(['check', jail, '-q']).status, 0);
    // The rest is what the jail was built for.
    assert.equal(jailbuild(['update', jail, '-q']).status, 0);
    assert.equal(jailbuild(['run', jail, '--', ...command]).stdout, '2\n');
    const usage = jailbuild(['prove', jail, '--least', '--', ...command]);
    assert.equal(usage.status, 2);
  });

  describe('--least', () => {
    const [named, unused] = ['/data/named', '/data/inner/unused'];
    const [sysroot, work] = [inside('sysroot'), inside('work')];

    before(() => {
      const programs = ['/usr/bin/sh', '/usr/bin/ls', '/usr/bin/cat'];
      assert.equal(jailbuild([sysroot, ...programs, '-q']).status, 0);
      for (const at of [path.join(sysroot, '/data/inner'), work])
        mkdirSync(at, { recursive: true });
      writeFileSync(path.join(sysroot, named), 'named');
      writeFileSync(path.join(sysroot, unused), 'never read');
    });

    /** Builds a jail and proves a command in it; returns its last round, parsed, and the text. */
    function proveLeast(name: string, programs: readonly string[], ...words: readonly string[]) {
      const jail = inside(name);
      const both = ['json', 'text'].map((form) => {
        rmSync(path.join(work, 'runs'), { force: true });
        const at = form === 'json' ? jail : `${jail}-text`;
        const built = jailbuild([at, ...programs, '--sysroot', sysroot, '-q']);
        assert.equal(built.status, 0, built.stderr);
        const options = form === 'json' ? ['--json'] : [];
        return jailbuild(['prove', at, '--add', '--least', ...options, ...words]);
      });
      const [json, text] = both as [Finished, Finished];
      const { rounds } = JSON.parse(json.stdout.slice(json.stdout.indexOf('{"')));
      return { jail, round: rounds.at(-1), text: text.stderr, status: json.status };
    }

    test('keeps the listed names that the command turns out to need', needs('ls'), () => {
      const words = ['--expect', 'named', '--', '/usr/bin/ls', '/data'];
      const { jail, round, status } = proveLeast('lists', ['/usr/bin/ls'], ...words);
      assert.equal(status, 0);
      assert.equal(round.narrowed.from - round.narrowed.to, 'never read'.length);
      assert.ok(existsSync(path.join(jail, named)) && !existsSync(path.join(jail, unused)));
    });

    test('restores the jail if the command fails with less, and says so', needs('ls'), () => {
      // Two runs succeed, whatever the jail contains.
      const script = `echo run >> /work/runs; set -- $(/usr/bin/cat /work/runs); /usr/bin/ls /data && [ $# -le 2 ]`;
      const { jail, round, text, status } = proveLeast(
        'restored',
        ['/usr/bin/sh', '/usr/bin/ls', '/usr/bin/cat'],
        ...['--bind', `${work}:/work`, '--', '/usr/bin/sh', '-c', script],
      );
      assert.deepEqual([status, round.passes, round.narrowed], [0, true, undefined]);
      assert.deepEqual([round.kept.failed.status, round.kept.failed.failure], [1, 'status']);
      assert.ok(existsSync(path.join(jail, unused)));
      assert.match(
        text,
        /with what it used alone, the command failed with status 1: the jail keeps all that was added, \d/,
      );
    });

    test('says that everything that was added is used', () => {
      const words = ['--', '/usr/bin/cat', named];
      const { jail, round, text } = proveLeast('all-used', ['/usr/bin/cat'], ...words);
      assert.deepEqual([round.passes, typeof round.kept.size], [true, 'number']);
      assert.equal(round.kept.failed, undefined);
      assert.match(text, /the command uses what was added: the jail keeps all that was added, \d/);
      assert.ok(existsSync(path.join(jail, named)));
    });

    test('removes nothing if the command never succeeds', () => {
      const words = ['--expect', 'other', '--', '/usr/bin/cat', named];
      const { jail, round, text, status } = proveLeast('fails', ['/usr/bin/cat'], ...words);
      assert.deepEqual([status, round.passes, round.failure], [1, false, 'output']);
      assert.match(text, /round 2: the command ended with status 0, but its output does not match/);
      assert.match(text, /--least removes nothing/);
      assert.ok(existsSync(path.join(jail, named)));
    });
  });

  test('a session is observed by run, and a failed start suggests prove', () => {
    const jail = inside('observed');
    assert.equal(jailbuild([jail, '/usr/bin/cat', '-q']).status, 0);
    const session = jailbuild(['run', jail, '--observe', '--', '/usr/bin/cat', '/etc/hostname']);
    assert.equal(session.status, 1);
    assert.match(session.stderr, /--include \/etc\/hostname/);
    const failed = jailbuild(['run', jail, '--', '/usr/bin/sort']);
    assert.equal(failed.status, 127);
    assert.match(
      failed.stderr,
      /`jailbuild prove .* \/usr\/bin\/sort` reports what the jail lacks/,
    );
    const lacking = jailbuild(['prove', jail, '--', '/usr/bin/sort', '--version']);
    assert.equal(lacking.status, 127);
  });

  test('--minimize reports unused files and writes excludes for them', () => {
    const [jail, list, file] = [inside('unused'), inside('list.yaml'), inside('small.yaml')];
    const note = inside('note.txt');
    writeFileSync(note, 'never read');
    const built = jailbuild([jail, '/usr/bin/cat', '--include', note, '-q']);
    assert.equal(built.status, 0, built.stderr);
    const run = jailbuild([
      'prove',
      jail,
      '--unused',
      '--minimize',
      list,
      '--',
      '/usr/bin/cat',
      '/dev/null',
    ]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /unused: \d+ files?, .*\n.* files? of /);
    const excludes = readFileSync(list, 'utf8');
    assert.ok(excludes.includes(note) && !excludes.includes('/usr/bin/cat"'), excludes);
    writeFileSync(file, `root: small\nprograms: [/usr/bin/cat]\nincludes: [${note}]\n${excludes}`);
    assert.equal(jailbuild(['-f', file, '-q']).status, 0);
    assert.ok(!existsSync(path.join(inside('small'), note)));
  });

  test('files are reported as unused only if no proof of the jail file uses them', () => {
    const site = inside('proofs');
    mkdirSync(site);
    const [file, out] = [path.join(site, 'jail.yaml'), path.join(site, 'unused.json')];
    const note = inside('unread.txt');
    writeFileSync(note, 'never read');
    writeFileSync(
      file,
      [
        'root: jail',
        'programs: [/usr/bin/sort, /usr/bin/cat]',
        `includes: [${note}]`,
        'proofs:',
        '  sorts: { command: [/usr/bin/sort], stdin: "2\\n1\\n", output: "^1" }',
        '  copies: { command: [/usr/bin/cat], stdin: "2\\n", output: "^2" }',
        '',
      ].join('\n'),
    );
    const jail = path.join(site, 'jail');
    assert.equal(jailbuild(['-f', file, '-q']).status, 0);
    const one = jailbuild([
      'prove',
      jail,
      '--json',
      '--unused',
      '--',
      '/usr/bin/sort',
      '/dev/null',
    ]);
    const pathsOf = (groups: readonly { readonly paths: readonly string[] }[]) =>
      groups.flatMap(({ paths }) => paths);
    const alone = pathsOf(JSON.parse(one.stdout).unused);
    assert.ok(alone.includes('/usr/bin/cat') && !alone.includes('/usr/bin/sort'), one.stdout);
    const run = jailbuild(['prove', jail, '--proofs', '--unused', '--unused-file', out]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /proof sorts succeeded\n.*proof copies succeeded/s);
    assert.match(run.stderr, /unused by any of 2 proofs: \d+ files?, /);
    const unused = readUnusedFiles(out);
    assert.deepEqual(unused.runs, [
      { name: 'sorts', command: ['/usr/bin/sort'] },
      { name: 'copies', command: ['/usr/bin/cat'] },
    ]);
    const together = pathsOf(unused.groups);
    assert.ok(together.includes(note), run.stderr);
    assert.ok(!together.includes('/usr/bin/cat') && !together.includes('/usr/bin/sort'));
    assert.equal(together.length, unused.unused.files);
    writeFileSync(out, '{"schema":"jailbuild.unused/2"}');
    assert.throws(() => readUnusedFiles(out), /schema: is "jailbuild.unused\/2", expected/);
    // It is unknown what a failed run would have used.
    const other = path.join(site, 'other.yaml');
    writeFileSync(other, 'root: jail\nproofs: { fails: { command: [/usr/bin/cat, /none] } }\n');
    const failed = jailbuild(['prove', jail, '--proofs', '--jail-file', other, '--unused']);
    assert.equal(failed.status, 1, failed.stderr);
    assert.match(failed.stderr, /nothing is reported as unused/);
    const both = jailbuild(['prove', jail, '--proofs', '--', '/usr/bin/cat']);
    assert.equal(both.status, 2, both.stderr);
  });

  test('secrets are reported and not added', () => {
    const jail = inside('secret');
    const key = inside('id_rsa');
    writeFileSync(key, 'secret');
    assert.equal(jailbuild([jail, '/usr/bin/cat', '-q']).status, 0);
    const run = jailbuild(['prove', jail, '--add', '--', '/usr/bin/cat', key]);
    assert.notEqual(run.status, 0);
    assert.match(run.stderr, /withheld: a secret of the host/);
    assert.ok(!existsSync(path.join(jail, key)));
  });

  test('nothing is written if a proof fails, and the jail is built if it passes', () => {
    const site = inside('site');
    mkdirSync(site);
    const file = path.join(site, 'jail.yaml');
    const write = (output: string) =>
      writeFileSync(
        file,
        `root: jail\nprograms: [/usr/bin/sort]\nproofs:\n  sorts: { command: [/usr/bin/sort, -r], stdin: "1\\n2\\n", output: "${output}" }\n`,
      );
    write('^1');
    write('^1\\\\n2');
    const refused = jailbuild(['-f', file, '--prove']);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /proof sorts ended with status 0, but its output does not match/);
    assert.deepEqual(readdirSync(site), ['jail.yaml']);
    const image = jailbuild(['export', '--from', file, '--to', `tar:${site}/x.tar`, '--prove']);
    assert.equal(image.status, 1);
    assert.deepEqual(readdirSync(site), ['jail.yaml']);
    write('^2\\\\n1');
    const built = jailbuild(['-f', file, '--prove', '-q']);
    assert.equal(built.status, 0, built.stderr);
    assert.deepEqual(readdirSync(site).sort(), ['jail', 'jail.yaml']);
    assert.equal(jailbuild(['check', path.join(site, 'jail'), '--prove', '-q']).status, 0);
    write('^3');
    const checked = jailbuild(['check', path.join(site, 'jail'), '--prove', '-q']);
    assert.equal(checked.status, 3);
    const without = inside('without.yaml');
    writeFileSync(without, 'root: x\nprograms: [/usr/bin/sort]\n');
    const usage = jailbuild(['-f', without, '--prove']);
    assert.match(usage.stderr, /has no proofs/);
    assert.equal(usage.status, 2);
  });
});
