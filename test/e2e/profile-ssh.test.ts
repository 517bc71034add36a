import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { Cleanup } from '../support/cleanup.js';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { rootOwnedDirectory, type SshServer, startSsh } from '../support/ssh.js';
import { makeUser } from '../support/users.js';

const TOOLS = ['sshd', 'ssh', 'sftp', 'scp', 'rsync', 'git', 'git-shell', 'useradd', 'userdel'];

describe('users that a real sshd confines to their jails', needsRoot(...TOOLS), () => {
  const cleanup = new Cleanup();
  const directory = rootOwnedDirectory(cleanup);
  const at = (name: string) => path.join(directory, name);
  const jail = {
    sftp: at('sftp'),
    server: at('server'),
    scp: at('scp'),
    rsync: at('rsync'),
    git: at('git'),
  };
  const user = {} as Record<keyof typeof jail, string>;
  const bytes = randomBytes(300_000);
  let ssh: SshServer;

  before(async () => {
    user.sftp = makeUser(cleanup, '/usr/sbin/nologin');
    user.server = makeUser(cleanup, '/bin/sh');
    user.scp = makeUser(cleanup, '/bin/bash');
    user.rsync = makeUser(cleanup, '/bin/sh');
    user.git = makeUser(cleanup, '/usr/bin/git-shell');
    build(jail.sftp, '--profile', 'sftp', '--user', user.sftp);
    build(jail.server, '--profile', 'sftp', '--profile', 'scp', '--user', user.server);
    build(jail.scp, '--profile', 'scp', '--user', user.scp);
    build(jail.rsync, '--profile', 'rsync', '--user', user.rsync);
    build(jail.git, '--profile', 'git', '--user', user.git);
    const block = (name: keyof typeof jail, lines: string) =>
      `Match User ${user[name]}\n  ChrootDirectory ${jail[name]}\n  AllowTcpForwarding no\n  X11Forwarding no\n${lines}`;
    ssh = await startSsh(
      cleanup,
      directory,
      Object.values(user),
      [
        'Subsystem sftp internal-sftp',
        block('sftp', '  ForceCommand internal-sftp\n  PermitTunnel no'),
        block('server', '  ForceCommand /usr/lib/openssh/sftp-server'),
        block('scp', '  PermitTTY no'),
        block('rsync', '  PermitTTY no'),
        block('git', '  PermitTTY no'),
      ].join('\n'),
    );
    mkdirSync(at('local'));
    writeFileSync(at('local/file'), bytes);
  });

  function build(root: string, ...args: readonly string[]): void {
    const { status, stderr } = jailbuild([root, ...args, '--quiet']);
    assert.equal(stderr, '');
    assert.equal(status, 0);
  }

  function run(file: string, args: readonly string[], input?: string) {
    const done = exec(file, args, input === undefined ? {} : { input });
    assert.equal(done.status, 0, `${file} ${args.join(' ')}: ${done.stderr}\n${ssh.log()}`);
    return done;
  }

  const sftp = (name: 'sftp' | 'server', batch: string) =>
    run(
      'sftp',
      [...ssh.options, '-P', String(ssh.port), '-b', '-', `${user[name]}@127.0.0.1`],
      batch,
    );

  for (const name of ['sftp', 'server'] as const) {
    const what = name === 'sftp' ? 'internal-sftp' : 'sftp-server';
    test(`${what} transfers files both ways, and shows only the jail`, () => {
      const back = at(`local/${name}-back`);
      const { stdout } = sftp(
        name,
        `put ${at('local/file')} upload\nget upload ${back}\npwd\nls -1 /home\nls -ln upload\n`,
      );
      assert.deepEqual(readFileSync(back), bytes);
      assert.match(stdout, new RegExp(`Remote working directory: /home/${user[name]}$`, 'm'));
      assert.match(stdout, new RegExp(`^/home/${user[name]} *$`, 'm'));
      assert.equal(stdout.match(/^\/home\//gm)?.length, 1);
      const uploaded = path.join(jail[name], 'home', user[name], 'upload');
      assert.deepEqual(readFileSync(uploaded), bytes);
      assert.equal(statSync(uploaded).uid, Number(exec('id', ['-u', user[name]]).stdout));
    });

    test(`${what} cannot write to the root of the jail`, () => {
      const { status, stderr } = exec(
        'sftp',
        [...ssh.options, '-P', String(ssh.port), '-b', '-', `${user[name]}@127.0.0.1`],
        { input: `put ${at('local/file')} /etc/passwd\n` },
      );
      assert.notEqual(status, 0);
      assert.match(stderr, /Permission denied/);
    });
  }

  test('internal-sftp runs no command', () => {
    const { stdout, stderr } = exec('ssh', [
      ...ssh.options,
      ...['-p', String(ssh.port), `${user.sftp}@127.0.0.1`, 'echo', 'reached'],
    ]);
    assert.doesNotMatch(stdout + stderr, /reached/);
  });

  for (const [protocol, flag] of [
    ['sftp', '-s'],
    ['its own old', '-O'],
  ] as const) {
    test(`scp copies both ways with the ${protocol} protocol`, () => {
      const remote = `${user.scp}@127.0.0.1:copy${flag}`;
      const back = at(`local/scp${flag}`);
      const options = [...ssh.options, '-q', flag, '-P', String(ssh.port)];
      run('scp', [...options, at('local/file'), remote]);
      run('scp', [...options, remote, back]);
      assert.deepEqual(readFileSync(back), bytes);
      assert.deepEqual(readFileSync(path.join(jail.scp, 'home', user.scp, `copy${flag}`)), bytes);
    });
  }

  test('rsync copies both ways, and skips unchanged files', () => {
    const shell = ['ssh', ...ssh.options, '-p', String(ssh.port)].join(' ');
    const remote = `${user.rsync}@127.0.0.1:tree/`;
    mkdirSync(at('local/tree/deep'), { recursive: true });
    writeFileSync(at('local/tree/deep/file'), bytes);
    writeFileSync(at('local/tree/name with spaces'), 'text');
    run('rsync', ['-a', '-e', shell, `${at('local/tree')}/`, remote]);
    const { stdout } = run('rsync', ['-ai', '-e', shell, `${at('local/tree')}/`, remote]);
    assert.equal(stdout, '');
    run('rsync', ['-a', '-e', shell, remote, at('local/tree-back')]);
    assert.equal(exec('diff', ['-r', at('local/tree'), at('local/tree-back')]).stdout, '');
    assert.ok(existsSync(path.join(jail.rsync, 'home', user.rsync, 'tree/deep/file')));
  });

  test('git pushes and clones through git-shell, which allows nothing else', () => {
    const repository = path.join(jail.git, 'home', user.git, 'repo.git');
    run('git', ['init', '-q', '--bare', '--initial-branch=main', repository]);
    run('chown', ['-R', `${user.git}:${user.git}`, repository]);
    const work = at('local/work');
    const git = (...args: readonly string[]) =>
      exec('git', ['-C', work, '-c', 'user.name=A', '-c', 'user.email=a@example.org', ...args], {
        env: {
          ...process.env,
          GIT_SSH_COMMAND: ['ssh', ...ssh.options, '-p', String(ssh.port)].join(' '),
          GIT_CONFIG_GLOBAL: '/dev/null',
        },
      });
    const url = `ssh://${user.git}@127.0.0.1/home/${user.git}/repo.git`;
    run('git', ['init', '-q', '--initial-branch=main', work]);
    writeFileSync(path.join(work, 'file'), bytes);
    for (const args of [
      ['add', '.'],
      ['commit', '-q', '-m', 'First'],
      ['push', '-q', url, 'main'],
      ['clone', '-q', url, at('local/clone')],
    ]) {
      const { status, stderr } = git(...args);
      assert.equal(status, 0, `git ${args.join(' ')}: ${stderr}`);
      assert.doesNotMatch(stderr, /warning|error|fatal/i);
    }
    assert.deepEqual(readFileSync(at('local/clone/file')), bytes);
    const head = git('rev-parse', 'HEAD').stdout.trim();
    assert.equal(readFileSync(path.join(repository, 'refs/heads/main'), 'utf8').trim(), head);

    const refused = exec('ssh', [
      ...ssh.options,
      '-p',
      String(ssh.port),
      `${user.git}@127.0.0.1`,
      'ls',
      '/',
    ]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /unrecognized command/);
  });

  test('each passwd contains root and one user, and no password', () => {
    for (const name of Object.keys(jail) as (keyof typeof jail)[]) {
      const passwd = readFileSync(path.join(jail[name], 'etc/passwd'), 'utf8').trim().split('\n');
      assert.deepEqual(
        passwd.map((line) => line.split(':').slice(0, 2)),
        [
          ['root', '*'],
          [user[name], '*'],
        ],
      );
      const group = readFileSync(path.join(jail[name], 'etc/group'), 'utf8');
      assert.match(group, new RegExp(`^${user[name]}:\\*:\\d+:$`, 'm'));
      assert.equal(existsSync(path.join(jail[name], 'etc/shadow')), false);
    }
  });
});
