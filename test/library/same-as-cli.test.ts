import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  build,
  canonicalJson,
  checkJail,
  dependencyTrees,
  exportRoot,
  planJail,
  planUpdate,
  reasonsFor,
  removeJail,
} from '../../src/index.js';
import { exec, jailbuild, PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { makePackagedSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

function cli(...args: readonly string[]): string {
  const { status, stdout, stderr } = jailbuild(args);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Returns a document without the parts that depend on one file or moment. */
function comparable(root: string): Record<string, string> {
  const lines = Object.entries(snapshot(root)).map(([name, line]) => [
    name,
    name.startsWith('.jailbuild') ? '' : line.replace(/ \d+(?= ->|$)/, ''),
  ]);
  return Object.fromEntries(lines);
}

describe('the library gives the same results as the command', () => {
  const directory = tempDir();
  const sysroot = makePackagedSysroot(directory, 'ls', '--profile', 'base');
  const request = { programs: ['ls'], terminfo: 'none', profiles: ['base'], sysroot } as const;
  const words = ['ls', '--terminfo', 'none', '--profile', 'base', '--sysroot', sysroot];
  const [ours, theirs] = ['ours', 'theirs'].map((name) => path.join(directory, name)) as [
    string,
    string,
  ];

  test('build', async () => {
    const made = await build(request, ours);
    cli(theirs, ...words, '-q');
    assert.ok(made.verifiedFiles > 0);
    assert.deepEqual(comparable(ours), comparable(theirs));
  });

  test('build --dry-run', async () => {
    const text = cli(theirs, ...words, '--dry-run', '--format', 'json');
    assert.equal(canonicalJson(await planJail(request, ours)), text);
  });

  test('check and update', async () => {
    assert.deepEqual((await checkJail(ours)).findings, []);
    assert.deepEqual((await planUpdate(ours)).changes, []);
    writeFileSync(path.join(ours, 'usr/bin/extra'), '');
    const { findings } = await checkJail(ours);
    const report = JSON.parse(jailbuild(['check', ours, '--json']).stdout);
    assert.ok(findings.length > 0);
    assert.deepEqual(findings, report.findings);
    assert.deepEqual((await checkJail(ours, { ignore: ['foreign'] })).findings, []);
  });

  test('why', async () => {
    for (const [source, word] of [
      [ours, [ours]],
      [{ programs: ['ls'], sysroot }, ['ls', '--sysroot', sysroot]],
    ] as const) {
      const [of = '', ...more] = word;
      const files = await reasonsFor(source, 'libc.so.6');
      assert.ok(files.length > 0);
      assert.deepEqual(files, JSON.parse(cli('why', of, 'libc.so.6', ...more, '--json')).files);
    }
  });

  test('tree', async () => {
    const trees = await dependencyTrees({ programs: ['ls'], sysroot });
    const report = JSON.parse(cli('tree', 'ls', '--sysroot', sysroot, '--json'));
    assert.deepEqual({ status: 'ok', ...trees }, report);
  });

  test('export', async () => {
    for (const [source, what] of [
      [{ jail: theirs }, [theirs]],
      [{ request }, words],
    ] as const) {
      for (const form of ['oci-archive', 'tar'] as const) {
        const [one, two] = [`${directory}/one.${form}`, `${directory}/two.${form}`];
        const result = await exportRoot(source, `${form}:${one}`);
        const text = cli('export', ...what, '--to', `${form}:${two}`, '--json');
        assert.ok(readFileSync(one).equals(readFileSync(two)), form);
        assert.equal(JSON.parse(text).digest, result.digest);
      }
    }
    const image = { image: { cmd: ['ls', '/'], env: ['A=1'], labels: { made: 'here' } } };
    const layered = { ...image, layers: 'by-package', platform: 'linux/amd64' } as const;
    const one = await exportRoot({ request }, `oci-archive:${directory}/three`, layered);
    const options = ['-e', 'A=1', '--label', 'made=here', '--platform', 'linux/amd64'];
    const two = `oci-archive:${directory}/four`;
    const more = ['--layers', 'by-package', ...options, '--json', '--', 'ls', '/'];
    const text = cli(
      'export',
      '--profile',
      'base',
      'ls',
      '--terminfo',
      'none',
      '--sysroot',
      sysroot,
      '--to',
      two,
      ...more,
    );
    assert.equal(JSON.parse(text).digest, one.digest);
  });

  test('remove', async () => {
    const left = await removeJail(ours);
    assert.ok(left.removed.includes('/usr/bin/ls'));
    assert.ok(!left.removed.includes('/'));
    const { removed } = await removeJail(theirs);
    assert.equal(removed.at(-1), '/');
  });
});

describe('run', needsRoot('bash'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const file = path.join(directory, 'jail.yaml');

  /** Runs a program that uses the library, to read its standard streams. */
  const program = (text: string) => {
    const script = path.join(directory, 'program.mjs');
    const library = path.join(PROJECT, 'dist/index.js');
    writeFileSync(script, `import { runInJail } from ${JSON.stringify(library)};\n${text}`);
    return exec(process.execPath, [script]);
  };

  test('uses the recorded options unless others are given', () => {
    const lines = [
      'programs: [bash, env, hostname]',
      'terminfo: none',
      'run:',
      '  env: { FROM: file, ALSO: file }',
      '  hostname: recorded',
      '  workdir: /usr',
      '  command: [bash, -c, "echo $FROM $ALSO $PWD; hostname; exit 3"]',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    cli(jail, '--file', file, '-q');
    const root = JSON.stringify(jail);
    const whole = program(`process.exitCode = await runInJail(${root});`);
    assert.deepEqual([whole.stdout, whole.status], ['file file /usr\nrecorded\n', 3]);
    assert.equal(jailbuild(['run', jail]).stdout, whole.stdout);
    const other = program(
      `process.exitCode = await runInJail(${root}, ['bash', '-c', 'echo $FROM $ALSO $PWD; hostname'], ` +
        `{ env: { FROM: 'call' }, hostname: 'given', cwd: '/' });`,
    );
    assert.deepEqual([other.stdout, other.status], ['call file /\ngiven\n', 0]);
  });

  test('grants as few privileges as the command', needs('grep'), () => {
    const jailed = path.join(directory, 'rights');
    cli(jailed, 'grep', '-q', '--terminfo', 'none');
    const command = ['grep', '-E', '^(Cap|NoNewPrivs|Seccomp:|Uid)', '/proc/self/status'];
    const told = cli('run', jailed, '--', ...command);
    const text = `await runInJail(${JSON.stringify(jailed)}, ${JSON.stringify(command)});`;
    assert.equal(program(text).stdout, told);
    const less = text.replace(/\);$/, ", { dropCapabilities: ['ALL'] });");
    assert.match(program(less).stdout, /^CapBnd:\s0+$/m);
  });
});
