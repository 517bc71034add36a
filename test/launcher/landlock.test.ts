import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { landlockFile, landlockRules } from '../../src/launcher/landlock.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { exec, INVOKE_NS, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY } from './support.js';

/** Options for tests that need a kernel with Landlock. */
function needsLandlock(options: { readonly skip: string | false }) {
  if (options.skip !== false) return options;
  const { status } = exec(INVOKE_NS, ['--landlock', '/dev/null', '--', '/nothing']);
  return { skip: status === 125 ? 'needs a kernel with Landlock' : false };
}

const entry = (more: object): Entry =>
  ({
    mode: '0644',
    uid: 0,
    gid: 0,
    mtime: '0.000000000',
    reasons: [],
    ...more,
  }) as unknown as Entry;

test('rules follow from the manifest and the mounts', () => {
  const rules = landlockRules(
    [
      entry({ type: 'directory', path: '/usr', mode: '0755' }),
      entry({ type: 'directory', path: '/tmp', mode: '1777' }),
      entry({ type: 'directory', path: '/home/ann', mode: '0700', uid: 1000 }),
      entry({ type: 'file', path: '/usr/data' }),
      entry({ type: 'file', path: '/usr/tool', mode: '4755' }),
      entry({ type: 'symlink', path: '/usr/link', target: 'tool' }),
      entry({ type: 'fifo', path: '/run/pipe' }),
    ],
    { mounts: [{ target: '/work' }], proc: 'none' },
  );
  assert.equal(
    String(landlockFile(rules)),
    [
      ...['l:/', 'rlwm:/tmp', 'rlwm:/home/ann', 'r:/usr/data', 'rx:/usr/tool', 'rw:/run/pipe'],
      ...['rlwm:/dev', 'rlxwm:/work', ''],
    ].join('\0'),
  );
});

describe('run --landlock', needsLandlock(needsRoot('setpriv')), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const running: ChildProcess[] = [];
  const run = (options: readonly string[], ...command: string[]) =>
    jailbuild(['run', jail, '--landlock', ...options, '--', ...command]);

  before(() => {
    const names = ['bash', 'cat', 'ln', 'ls', 'mkdir', 'mv', 'rm', 'touch', 'truncate'];
    const built = jailbuild(['build', jail, ...names, '--directory', '/tmp']);
    assert.equal(built.status, 0, built.stderr);
    exec('chmod', ['755', directory]);
    writeFileSync(`${jail}/added`, 'not of the manifest\n');
    writeFileSync(`${jail}/usr/bin/added`, readFileSync(`${jail}/usr/bin/cat`), { mode: 0o755 });
  });
  after(() => {
    for (const child of running) child.kill('SIGKILL');
  });

  test('everything that the jail was built for works', () => {
    const { stdout, stderr, status } = run([], 'bash', '-c', 'ls /usr/bin/cat; echo x > /dev/null');
    assert.deepEqual([stdout, stderr, status], ['/usr/bin/cat\n', '', 0]);
    assert.match(run([], 'cat', '/proc/self/status').stdout, /^Name:\tcat/);
  });

  for (const [what, command] of [
    ['read what is not of the manifest', ['cat', '/added']],
    ['read it by another path', ['cat', '/proc/self/root/added']],
    ['execute it', ['bash', '-c', 'exec /usr/bin/added /dev/null']],
    ['write a file of the manifest', ['bash', '-c', 'echo x >> /usr/bin/cat']],
    ['truncate one', ['truncate', '-s0', '/usr/bin/cat']],
    ['make a file', ['touch', '/usr/bin/new']],
    ['make a directory', ['mkdir', '/new']],
    ['remove a file', ['rm', '-f', '/usr/bin/cat']],
    ['rename one', ['mv', '/usr/bin/cat', '/usr/bin/dog']],
    ['link one', ['ln', '/usr/bin/cat', '/usr/bin/dog']],
  ] as const) {
    test(`root cannot ${what}`, () => {
      const without = jailbuild(['run', jail, '--overlay', 'tmpfs', '--', ...command]);
      assert.equal(without.status, 0, without.stderr);
      const { stderr, status } = run([], ...command);
      assert.notEqual(status, 0);
      assert.match(stderr, /Permission denied|Invalid cross-device link|Operation not permitted/);
    });
  }

  test('mounts are writable, and read-only ones are not', () => {
    const data = path.join(directory, 'data');
    exec('mkdir', ['-p', data]);
    const script = 'echo a > /data/a; mv /data/a /data/b; cat /data/b; echo b > /tmp/b; cat /tmp/b';
    const { stdout, stderr } = run(
      ['--bind', `${data}:/data`, '--tmpfs', '/tmp'],
      ...['bash', '-c', script],
    );
    assert.deepEqual([stdout, stderr], ['a\nb\n', '']);
    assert.notEqual(run(['--ro-bind', `${data}:/data`], 'touch', '/data/c').status, 0);
    assert.equal(run(['--ro-bind', `${data}:/data`], 'cat', '/data/b').stdout, 'a\n');
  });

  test('can be combined with the other limits', () => {
    const options = ['--user', '1000', '--overlay', 'tmpfs', '--network', 'none'];
    assert.equal(run(options, 'cat', '/added').status, 1);
    assert.equal(run([...options, '--allow-new-privileges'], 'cat', '/added').status, 1);
    assert.equal(run([...options, '--no-init'], 'ls', '/usr/bin/cat').status, 0);
    assert.equal(run(['--observe'], 'cat', '/added').status, 1);
  });

  test('also applies to an entering command, and leaves no file behind, even if it is killed', async () => {
    const left = (): string[] =>
      readdirSync('/run').filter((name) => name.startsWith('jailbuild-'));
    const before = left();
    const words = ['run', jail, '--landlock', '--', 'bash', '-c', 'echo up; read -r'];
    const child = spawn(process.execPath, [JAILBUILD, ...words]);
    running.push(child);
    for await (const part of child.stdout) if (String(part).includes('up')) break;
    assert.deepEqual(left(), before);
    const further = jailbuild(['exec', String(await initOf(jail)), '--', 'cat', '/added']);
    assert.match(further.stderr, /Permission denied/);
    assert.equal(jailbuild(['exec', jail, '--', 'ls', '/usr/bin/cat']).status, 0);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    assert.deepEqual(left(), before);
  });

  test('an unprivileged user can limit their own jail', () => {
    const own = path.join(directory, 'own');
    exec('mkdir', ['-p', own]);
    exec('chown', ['54321:54321', own]);
    const [file = '', ...before] = AS_NOBODY;
    const as = (...words: string[]) =>
      exec(file, [...before, process.execPath, JAILBUILD, ...words], { cwd: '/' });
    const built = as('build', `${own}/jail`, 'cat', 'bash');
    assert.equal(built.status, 0, built.stderr);
    writeFileSync(`${own}/jail/added`, 'x\n', { mode: 0o644 });
    assert.equal(as('run', `${own}/jail`, '--landlock', '--', 'cat', '/added').status, 1);
    assert.equal(as('run', `${own}/jail`, '--', 'cat', '/added').status, 0);
    assert.equal(as('run', `${own}/jail`, '--landlock', '--', 'bash', '-c', ':').status, 0);
  });

  test('is refused without a manifest, and if the rules cannot be expressed', () => {
    const { stderr, status } = jailbuild(['run', directory, '--landlock', '--', 'cat']);
    assert.deepEqual(
      [stderr, status],
      [
        `jailbuild: --landlock: ${directory} has no record that you can read, so its paths are unknown: run as its owner or root\n`,
        2,
      ],
    );
    for (const option of [['--oci-bundle', `${directory}/bundle`], ['--print-command']])
      assert.match(run(option, 'cat').stderr, /^jailbuild: .*--landlock/);
  });
});

async function initOf(jail: string): Promise<number> {
  const { jails } = JSON.parse(jailbuild(['ps', '--json']).stdout) as {
    readonly jails: readonly { readonly init: number; readonly root: string }[];
  };
  return jails.find(({ root }) => root === jail)?.init ?? 0;
}

describe('invoke_ns --landlock', needsLandlock(needs()), () => {
  const directory = tempDir();
  const rules = path.join(directory, 'rules');
  const invoke = (text: string, ...command: string[]) => {
    writeFileSync(rules, text);
    return exec(INVOKE_NS, ['--no-new-privs', '--landlock', rules, '--', ...command]);
  };

  test('limits to the paths in the file, and skips missing ones', () => {
    const text = ['rx:/', 'r:/nothing/there', ''].join('\0');
    assert.equal(invoke(text, '/bin/cat', '/etc/passwd').status, 0);
    assert.match(invoke(text, '/bin/ls', '/etc').stderr, /Permission denied/);
    assert.equal(invoke('', '/bin/cat').status, 126);
  });

  test('refuses an invalid rule', () => {
    for (const text of ['q:/\0', 'r/\0', 'r:usr\0', '\0', ':'])
      assert.match(
        invoke(text, '/bin/true').stderr,
        /^invoke_ns: (a Landlock rule must be \[r\]|each Landlock rule must end with a NUL)/,
      );
    const { stderr, status } = exec(INVOKE_NS, ['--landlock', `${directory}/none`, '--', 'true']);
    assert.match(stderr, /^invoke_ns: open the Landlock rules .*: No such file or directory\n/);
    assert.equal(status, 125);
  });
});
