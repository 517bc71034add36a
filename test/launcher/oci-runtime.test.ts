import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const RUNTIME = path.join(path.dirname(JAILBUILD), 'jailbuild-runtime');

describe('the OCI runtime', needsRoot('podman', 'unshare', 'mkfifo'), () => {
  const directory = tempDir();
  const bundle = path.join(directory, 'bundle');
  const state = path.join(directory, 'state');
  const jail = path.join(directory, 'jail');
  const runtime = (...words: string[]) => exec(RUNTIME, ['--root', state, ...words]);
  const config = (): { [name: string]: object } =>
    JSON.parse(readFileSync(path.join(bundle, 'config.json'), 'utf8'));

  before(() => {
    buildJail(jail, ['bash', 'cat', 'id', 'ls', 'sleep', 'ps']);
    for (const name of ['proc', 'dev', 'sys'])
      mkdirSync(path.join(jail, name), { recursive: true });
    const made = jailbuild([
      'run',
      jail,
      '--oci-bundle',
      bundle,
      '--',
      'bash',
      '-c',
      'sleep 600; :',
    ]);
    assert.equal(made.status, 0, made.stderr);
  });

  test('a container is created, started, entered, killed and deleted', () => {
    const pidFile = path.join(directory, 'pid');
    // Its streams are the container's, which keeps them open.
    const create = [RUNTIME, '--root', state, 'create', '-b', bundle, '--pid-file', pidFile, 'c'];
    const quiet = ['-c', '"$@" < /dev/null > /dev/null 2>&1', 'bash', ...create];
    assert.equal(exec('bash', quiet).status, 0);
    const status = (): string => JSON.parse(runtime('state', 'c').stdout).status;
    assert.equal(status(), 'created');
    assert.equal(
      JSON.parse(runtime('state', 'c').stdout).pid,
      Number(readFileSync(pidFile, 'utf8')),
    );
    assert.match(runtime('create', '-b', bundle, 'c').stderr, /there is a container of this name/);
    assert.equal(runtime('start', 'c').status, 0);
    assert.equal(status(), 'running');
    assert.match(runtime('start', 'c').stderr, /cannot start a container that is running/);
    assert.match(runtime('exec', 'c', '--', 'ps', '-e').stdout, /1 \?.* bash\n[\s\S]*sleep/);
    assert.match(runtime('delete', 'c').stderr, /cannot delete a container that is running/);
    assert.equal(runtime('kill', 'c', 'KILL').status, 0);
    for (let tries = 0; status() !== 'stopped' && tries < 50; tries++) exec('sleep', ['0.05']);
    assert.equal(status(), 'stopped');
    assert.equal(runtime('delete', 'c').status, 0);
    assert.match(runtime('state', 'c').stderr, /container does not exist/);
    assert.equal(exec('find', ['/sys/fs/cgroup', '-path', '*jailbuild/c']).stdout, '');
  });

  test('what is not supported is refused by its name, and nothing is left', () => {
    const other = path.join(directory, 'other');
    mkdirSync(other);
    const whole = config();
    const refused: readonly (readonly [object, RegExp])[] = [
      [{ linux: { ...whole.linux, intelRdt: {} } }, /linux\.intelRdt is not supported/],
      [{ hooks: { createContainer: [{ path: '/x' }] } }, /hooks\.createContainer is not supported/],
      [{ linux: { ...whole.linux, rootfsPropagation: 'rshared' } }, /rootfsPropagation rshared/],
      [{ linux: { ...whole.linux, namespaces: [] } }, /without mount namespace/],
      [{ ociVersion: '2.0' }, /ociVersion 2\.0/],
      [
        { mounts: [{ destination: '/x', type: 'bind', source: '/', options: ['rshared'] }] },
        /the mount option rshared at \/x/,
      ],
    ];
    for (const [change, expected] of refused) {
      writeFileSync(path.join(other, 'config.json'), JSON.stringify({ ...whole, ...change }));
      const log = path.join(directory, 'log');
      const { stderr, status } = runtime(
        '--log',
        log,
        '--log-format',
        'json',
        'create',
        '-b',
        other,
        'd',
      );
      assert.match(stderr, expected);
      assert.notEqual(status, 0);
      assert.match(
        JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '').msg,
        expected,
      );
      assert.equal(runtime('list').stdout, '[]\n');
    }
  });

  test('podman runs containers by it', () => {
    const archive = path.join(directory, 'image.tar');
    const to = `docker-archive:${archive}:jailbuild/runtime:v1`;
    const made = jailbuild(['export', 'bash', 'cat', 'id', 'ps', 'sleep', '--to', to]);
    assert.equal(made.status, 0, made.stderr);
    const store = [
      '--root',
      path.join(directory, 'store'),
      '--runroot',
      path.join(directory, 'run'),
    ];
    const podman = (...words: string[]) =>
      exec('podman', [
        ...store,
        ...[
          '--storage-driver',
          'vfs',
          '--cgroup-manager',
          'cgroupfs',
          '--runtime',
          RUNTIME,
          ...words,
        ],
      ]);
    const limits = ['--ulimit', 'nofile=256:256', '--ulimit', 'nproc=256:256', '--net', 'none'];
    const image = 'localhost/jailbuild/runtime:v1';
    assert.equal(podman('load', '-q', '-i', archive).status, 0);
    const hello = podman(
      'run',
      '--rm',
      ...limits,
      image,
      'bash',
      '-c',
      'echo hello; id -u; exit 7',
    );
    assert.equal(hello.stdout, 'hello\n0\n', hello.stderr);
    assert.equal(hello.status, 7);
    const started = podman(
      'run',
      '-d',
      '--name',
      'server',
      ...limits,
      '--pids-limit',
      '30',
      image,
      'sleep',
      '600',
    );
    assert.equal(started.status, 0, started.stderr);
    assert.match(podman('exec', 'server', 'ps', '-e').stdout, /1 \?.* sleep/);
    assert.equal(podman('rm', '-f', '-t', '0', 'server').status, 0);
    // It leaves the mounts of a container behind when that is gone.
    exec('sh', ['-c', `umount -l ${directory}/store/vfs-containers/*/userdata/shm`]);
  });
});
