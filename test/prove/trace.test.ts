import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Trace } from '../../src/evidence/trace/trace.js';
import { AS_NOBODY, NOBODY } from '../launcher/support.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const read = (file: string): Trace => JSON.parse(readFileSync(file, 'utf8'));
const stateOf = (trace: Trace, at: string) => trace.files.find((file) => file.path === at)?.state;

describe('trace', () => {
  const directory = tempDir();
  const inside = (name: string): string => path.join(directory, name);
  const trace = (file: string, ...command: string[]) =>
    jailbuild(['trace', '-q', '-o', inside(file), '--', ...command]);

  test('gives the same bytes for the same run, in any order of merging', () => {
    const command = ['/bin/sh', '-c', 'cat /etc/hostname; mktemp > /dev/null'];
    for (const name of ['one', 'two']) assert.equal(trace(name, ...command).status, 0);
    const text = readFileSync(inside('one'), 'utf8');
    assert.equal(readFileSync(inside('two'), 'utf8'), text);
    assert.equal(trace('other', '/bin/ls', '/etc').status, 0);
    for (const [name, ...parts] of [
      ['forth', 'one', 'other'],
      ['back', 'other', 'two', 'one'],
    ] as const) {
      const merged = ['trace', 'merge', '-q', '-o', inside(name), ...parts.map(inside)];
      assert.equal(jailbuild(merged).status, 0);
    }
    assert.equal(readFileSync(inside('back'), 'utf8'), readFileSync(inside('forth'), 'utf8'));
    assert.equal(stateOf(read(inside('back')), '/etc/hostname'), 'found');
    assert.equal(stateOf(read(inside('back')), '/etc'), 'found');
  });

  test('passes on status, output and input of the command', () => {
    const { status, stdout } = exec(
      process.execPath,
      [JAILBUILD, 'trace', '-q', '-o', inside('input'), '--', '/bin/sh', '-c', 'cat; exit 7'],
      { input: 'passed through' },
    );
    assert.deepEqual([status, stdout], [7, 'passed through']);
    const missing = trace('missing', 'no-such-command');
    assert.equal(missing.status, 127);
    assert.match(missing.stderr, /^jailbuild: no-such-command: command not found\n/);
  });

  test('records used files, not those that the run created', () => {
    const data = inside('data');
    mkdirSync(data);
    writeFileSync(path.join(data, 'read'), 'used');
    const script = `read x < ${data}/read; echo "$x" > ${data}/made; cat ${data}/made`;
    assert.equal(trace('made', '/bin/sh', '-c', script).stdout, 'used\n');
    const file = read(inside('made'));
    assert.equal(stateOf(file, `${data}/read`), 'found');
    // Names below a directory for temporary files are random, and not recorded.
    assert.notEqual(stateOf(file, `${data}/made`), 'found');
    const jail = inside('made-jail');
    const built = jailbuild([jail, '/bin/sh', '--trace', inside('made'), '-q']);
    assert.equal(built.status, 0, built.stderr);
    assert.ok(existsSync(path.join(jail, data, 'read')));
    assert.ok(!existsSync(path.join(jail, data, 'made')));
    const why = jailbuild(['why', jail, `${data}/read`]);
    assert.match(why.stdout, /observed: opened by \/usr\/bin\/dash in made/);
    assert.match(why.stdout, /\n {2}not brought by any option other than --include\n$/);
  });

  test('omits secrets unless they are named', () => {
    const home = inside('home');
    mkdirSync(path.join(home, '.ssh'), { recursive: true });
    mkdirSync(path.join(home, '.cache'));
    const key = path.join(home, '.ssh/id_ed25519');
    const pem = inside('server.pem');
    writeFileSync(key, 'secret');
    writeFileSync(pem, '-----BEGIN EC PRIVATE KEY-----\nAAAA\n');
    writeFileSync(path.join(home, '.cache/made-again'), '');
    writeFileSync(inside('plain.pem'), '-----BEGIN CERTIFICATE-----\n');
    const files = [key, pem, inside('plain.pem'), path.join(home, '.cache/made-again')];
    const { status } = exec(
      process.execPath,
      [JAILBUILD, 'trace', '-q', '-o', inside('secret'), '--', '/bin/cat', ...files],
      { env: { ...process.env, HOME: home } },
    );
    assert.equal(status, 0);
    const jail = inside('secret-jail');
    const built = jailbuild([jail, '/bin/cat', '--trace', inside('secret'), '-q']);
    assert.equal(built.status, 0, built.stderr);
    assert.ok(built.stderr.includes(`${key}, ${pem}`) && /withheld/.test(built.stderr));
    const has = files.map((file) => existsSync(path.join(jail, file)));
    assert.deepEqual(has, [false, false, true, false]);
    const named = [jail, '/bin/cat', '--trace', inside('secret'), '--include', key, '-q'];
    assert.equal(jailbuild(named).status, 0);
    assert.ok(existsSync(path.join(jail, key)) && !existsSync(path.join(jail, pem)));
  });

  test('outdated traces are refused by name', () => {
    const gone = inside('gone');
    writeFileSync(gone, '');
    assert.equal(trace('stale', '/bin/cat', gone).status, 0);
    rmSync(gone);
    const build = (...options: string[]) =>
      jailbuild([
        inside(`stale-jail${options.length}`),
        '/bin/cat',
        '--trace',
        inside('stale'),
        '-q',
        ...options,
      ]);
    const refused = build();
    assert.equal(refused.status, 1);
    assert.ok(refused.stderr.includes(gone) && refused.stderr.includes('--allow-missing'));
    assert.ok(!existsSync(inside('stale-jail0')));
    mkdirSync(gone);
    assert.ok(build().stderr.includes(gone));
    assert.equal(build('--allow-missing').status, 0);
    const other = read(inside('stale'));
    const foreign = { ...other, system: { ...other.system, id: 'elsewhere' } };
    writeFileSync(inside('stale'), JSON.stringify(foreign));
    assert.match(build().stderr, /is a trace of elsewhere/);
    writeFileSync(inside('stale'), JSON.stringify({ ...other, schema: 'jailbuild.trace/9' }));
    const unknown = jailbuild([inside('j'), '/bin/cat', '--trace', inside('stale')]);
    assert.match(unknown.stderr, /schema: is "jailbuild.trace\/9", expected jailbuild.trace\/1/);
    assert.equal(unknown.status, 1);
  });

  test('dry run, tree and why accept traces as build does', needs('python3'), () => {
    assert.equal(trace('py', '/usr/bin/python3', '-c', 'import json').status, 0);
    const plan = jailbuild([
      ...[
        '/nowhere/jail',
        '/usr/bin/python3',
        '--trace',
        inside('py'),
        '--dry-run',
        '--format',
        'json',
      ],
    ]);
    assert.equal(plan.status, 0, plan.stderr);
    const { request, entries } = JSON.parse(plan.stdout);
    assert.deepEqual(request.traces, [inside('py')]);
    const json = entries.find((entry: { path: string }) =>
      /\/json\/__init__\.py$/.test(entry.path),
    );
    assert.equal(json.reasons[0].kind, 'observed');
    const why = jailbuild(['why', '/usr/bin/python3', json.path, '--trace', inside('py')]);
    assert.match(why.stdout, /observed: /);
    assert.match(why.stdout, /\n {2}also added by: --package libpython3.*--profile python\n$/);
    const wide = jailbuild([
      ...[
        '/nowhere/jail',
        '/usr/bin/python3',
        '--trace',
        inside('py'),
        '--dry-run',
        '--format',
        'json',
      ],
      ...['--trace-scope', 'directories'],
    ]);
    assert.ok(JSON.parse(wide.stdout).entries.length > entries.length);
  });

  test(
    'a user without privileges can trace, build, run and prove',
    needsRoot('setpriv', 'python3'),
    () => {
      const own = inside('own');
      mkdirSync(own);
      chownSync(own, NOBODY, NOBODY);
      const job = ['/usr/bin/python3', '-c', 'import json; print(json.dumps([1]))'];
      const asNobody = (...args: string[]) => {
        const [program = '', ...rest] = [...AS_NOBODY, process.execPath, JAILBUILD, ...args];
        return exec(program, rest, { cwd: own, env: { ...process.env, HOME: own } });
      };
      const traced = asNobody('trace', '-o', `${own}/t`, '--', ...job);
      assert.deepEqual([traced.status, traced.stdout], [0, '[1]\n'], traced.stderr);
      assert.equal(read(`${own}/t`).incomplete, 0);
      const built = asNobody(`${own}/jail`, '/usr/bin/python3', '--trace', `${own}/t`, '-q');
      assert.equal(built.status, 0, built.stderr);
      assert.equal(asNobody('run', `${own}/jail`, '--', ...job).stdout, '[1]\n');
      const bare = asNobody(`${own}/bare`, '/usr/bin/python3', '-q');
      assert.equal(bare.status, 0, bare.stderr);
      const proven = asNobody('prove', `${own}/bare`, '--add', '--', ...job);
      assert.equal(proven.status, 0, proven.stderr);
      assert.equal(asNobody('run', `${own}/bare`, '--', ...job).stdout, '[1]\n');
    },
  );
});
