import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, type Finished, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { officialSchema } from './runtime-spec.js';
import { NOBODY } from './support.js';

const RUNTIME = path.join(path.dirname(JAILBUILD), 'jailbuild-runtime');

/** The image that engines run: a docker archive. */
function makeImage(directory: string): string {
  const archive = path.join(directory, 'image.tar');
  const to = `docker-archive:${archive}:jailbuild/runtime:v1`;
  const made = jailbuild(['export', 'bash', 'cat', 'id', 'ps', 'sleep', '--to', to]);
  assert.equal(made.status, 0, made.stderr);
  return archive;
}

/** A shell script that runs an engine in its own mount namespace, and ends it. */
function withEngine(script: string, ...words: readonly string[]) {
  return exec('unshare', ['-m', '--propagation', 'private', 'bash', '-uc', script, ...words], {});
}

/**
 * Creates a user with subordinate IDs in these namespaces only, who owns a home and a runtime
 * directory.
 */
const WITH_USER = `
  mount -t tmpfs none /run; mkdir -m 700 $1/home $1/home/run; chown -R $2:$2 $1/home
  for f in passwd group subuid subgid; do cat /etc/$f 2> /dev/null > $1/$f; done
  echo "engine:x:$2:$2::$1/home:/bin/sh" >> $1/passwd; echo "engine:x:$2:" >> $1/group
  for f in subuid subgid; do echo engine:600000:65536 > $1/$f; done
  for f in passwd group subuid subgid; do mount --bind $1/$f /etc/$f || exit; done
  setpriv --reuid=$2 --regid=$2 --clear-groups -- env -i PATH="$PATH" HOME=$1/home USER=engine XDG_RUNTIME_DIR=$1/home/run`;

/** Waits until a socket accepts connections. */
const AWAIT =
  'for i in $(seq 1200); do [ -S $S ] && $E version > /dev/null 2>&1 && break; sleep 0.1; done';

const ROOTLESS = needsRoot('podman', 'newuidmap', 'setpriv', 'slirp4netns', 'unshare');

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

  test('creates, starts, enters, kills and deletes a container', async () => {
    const pidFile = path.join(directory, 'pid');
    // Its streams belong to the container, which keeps them open.
    const create = [RUNTIME, '--root', state, 'create', '-b', bundle, '--pid-file', pidFile, 'c'];
    const quiet = ['-c', '"$@" < /dev/null > /dev/null 2>&1', 'bash', ...create];
    assert.equal(exec('bash', quiet).status, 0);
    const status = (): string => JSON.parse(runtime('state', 'c').stdout).status;
    assert.equal(status(), 'created');
    const isState = officialSchema('state-schema.json');
    assert.ok(isState(JSON.parse(runtime('state', 'c').stdout)), JSON.stringify(isState.errors));
    assert.equal(
      JSON.parse(runtime('state', 'c').stdout).pid,
      Number(readFileSync(pidFile, 'utf8')),
    );
    assert.match(
      runtime('create', '-b', bundle, 'c').stderr,
      /a container of this name already exists/,
    );
    assert.equal(runtime('start', 'c').status, 0);
    assert.equal(status(), 'running');
    assert.match(runtime('start', 'c').stderr, /cannot start a container that is running/);
    const shown = () => runtime('exec', 'c', '--', 'ps', '-e').stdout;
    await until(() => /1 \?.* bash\n[\s\S]*sleep/.test(shown()), shown);
    assert.match(runtime('delete', 'c').stderr, /cannot delete a container that is running/);
    assert.equal(runtime('kill', 'c', 'KILL').status, 0);
    await until(() => status() === 'stopped', 'the container is stopped');
    assert.equal(runtime('delete', 'c').status, 0);
    assert.match(runtime('state', 'c').stderr, /container does not exist/);
    assert.equal(exec('find', ['/sys/fs/cgroup', '-path', '*jailbuild/c']).stdout, '');
  });

  test('deletes a container that was only created, and sets the owners of its devices', async () => {
    const other = path.join(directory, 'owners');
    mkdirSync(other);
    const whole = config();
    const device = {
      path: '/dev/kit',
      type: 'c',
      major: 1,
      minor: 3,
      fileMode: 0o640,
      uid: 7,
      gid: 8,
    };
    const changed = {
      ...whole,
      process: { ...whole.process, user: undefined, args: ['ls', '-ln', '/dev/kit'] },
      linux: { ...whole.linux, devices: [device] },
    };
    writeFileSync(path.join(other, 'config.json'), JSON.stringify(changed));
    const made = ['--root', state, 'create', '-b', other, 'e'];
    const out = path.join(directory, 'out');
    const create = (): void => {
      const words = ['-c', `"$@" < /dev/null > ${out} 2>&1`, 'bash', RUNTIME, ...made];
      assert.equal(exec('bash', words).status, 0, readFileSync(out, 'utf8'));
    };
    create();
    assert.equal(runtime('delete', 'e').status, 0);
    assert.match(runtime('state', 'e').stderr, /container does not exist/);
    create();
    assert.equal(runtime('start', 'e').status, 0);
    const status = (): string => JSON.parse(runtime('state', 'e').stdout).status;
    await until(() => status() === 'stopped', 'the container is stopped');
    assert.match(readFileSync(out, 'utf8'), /^crw-r----- 1 7 8 1, 3 /);
    // A container that has ended has no process to signal.
    assert.match(runtime('kill', 'e', 'KILL').stderr, /container not running/);
    assert.equal(runtime('delete', 'e').status, 0);
  });

  test('creates no container, and no further process, whose command cannot be executed', () => {
    const other = path.join(directory, 'commands');
    mkdirSync(other);
    const bin = path.join(jail, 'usr/bin');
    writeFileSync(path.join(bin, 'text'), 'text', { mode: 0o644 });
    cpSync(path.join(bin, 'ls'), path.join(bin, 'private'));
    chmodSync(path.join(bin, 'private'), 0o700);
    const whole = config();
    const user = { uid: NOBODY, gid: NOBODY };
    const create = (changed: object): Finished => {
      const process = { ...whole.process, ...changed };
      writeFileSync(path.join(other, 'config.json'), JSON.stringify({ ...whole, process }));
      // The streams of a container that is created stay open.
      const words = [RUNTIME, '--root', state, 'create', '-b', other, 'f'];
      const out = path.join(directory, 'out');
      const made = exec('bash', ['-c', `"$@" < /dev/null > ${out} 2>&1`, 'bash', ...words]);
      return { ...made, stderr: readFileSync(out, 'utf8') };
    };
    const missing = ': executable file not found in the container';
    const denied = ': permission denied: the user of the container cannot execute it';
    const refused: readonly (readonly [object, string])[] = [
      [{ args: ['absent'] }, `absent${missing}`],
      [{ args: ['/usr/bin/absent'] }, `/usr/bin/absent${missing}`],
      [{ args: ['./ls'] }, `./ls${missing}`],
      [{ args: [''] }, missing],
      [{ args: ['ls'], env: ['PATH=/lib'] }, `ls${missing}`],
      [{ args: ['text'] }, `text${denied}`],
      [{ args: ['/usr/bin'] }, `/usr/bin${denied}`],
      [{ args: ['private'], user }, `private${denied}`],
    ];
    for (const [changed, message] of refused) {
      const { status, stderr } = create(changed);
      assert.deepEqual([status, stderr], [125, `jailbuild: ${message}\n`]);
      assert.match(runtime('state', 'f').stderr, /container does not exist/);
    }
    for (const found of [{ args: ['private'] }, { args: ['./ls'], cwd: '/usr/bin' }]) {
      const { status, stderr } = create(found);
      assert.equal(status, 0, stderr);
      assert.equal(runtime('delete', '--force', 'f').status, 0);
    }
    assert.equal(create({ args: ['sleep', '600'] }).status, 0);
    assert.equal(runtime('start', 'f').status, 0);
    const further = runtime('exec', '--detach', 'f', 'absent');
    assert.deepEqual([further.status, further.stderr], [125, `jailbuild: absent${missing}\n`]);
    assert.equal(runtime('delete', '--force', 'f').status, 0);
  });

  test('refuses unsupported members by name, and leaves nothing', () => {
    const other = path.join(directory, 'other');
    mkdirSync(other);
    const whole = config();
    const unlabelled = [
      { linux: { ...whole.linux, mountLabel: 'a:b:c:s0' } },
      /linux\.mountLabel on a kernel without SELinux is not supported/,
    ] as const;
    const refused: readonly (readonly [object, RegExp])[] = [
      [{ linux: { ...whole.linux, intelRdt: {} } }, /linux\.intelRdt is not supported/],
      [{ hooks: { createContainer: [{ path: '/x' }] } }, /hooks\.createContainer is not supported/],
      [{ linux: { ...whole.linux, rootfsPropagation: 'rshared' } }, /rootfsPropagation rshared/],
      [{ linux: { ...whole.linux, namespaces: [] } }, /without mount namespace/],
      ...(existsSync('/sys/fs/selinux/enforce') ? [] : [unlabelled]),
      [{ ociVersion: '2.0' }, /ociVersion 2\.0/],
      [{ process: { ...whole.process, args: 'bash' } }, /process\.args must be a list/],
      [{ process: { ...whole.process, cwd: undefined } }, /process\.cwd must be present/],
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

  test('runs a pod: containers that join the namespaces of another by their paths', async () => {
    const whole = config();
    const linux = whole.linux as { readonly namespaces: readonly { readonly type: string }[] };
    const SHARED = ['pid', 'network', 'ipc', 'uts'];
    const types = [...new Set([...linux.namespaces.map(({ type }) => type), 'network'])];
    const create = (
      id: string,
      namespaces: readonly object[],
      ...args: readonly string[]
    ): void => {
      const own = path.join(directory, id);
      mkdirSync(own);
      const changed = {
        ...whole,
        process: { ...whole.process, args },
        linux: { ...linux, namespaces },
      };
      writeFileSync(path.join(own, 'config.json'), JSON.stringify(changed));
      const words = ['create', '-b', own, id];
      const script = `"$@" < /dev/null > ${own}/out 2>&1`;
      const made = exec('bash', ['-c', script, 'bash', RUNTIME, '--root', state, ...words]);
      assert.equal(made.status, 0, readFileSync(`${own}/out`, 'utf8'));
      assert.equal(runtime('start', id).status, 0);
    };
    const namespacesOf = (id: string): readonly string[] => {
      const { pid } = JSON.parse(runtime('state', id).stdout) as { readonly pid: number };
      return ['pid', 'net', 'ipc', 'uts', 'mnt'].map((name) =>
        readlinkSync(`/proc/${pid}/ns/${name}`),
      );
    };
    try {
      const fresh = types.map((type) => ({ type }));
      create('sandbox', fresh, 'sleep', '600');
      const { pid } = JSON.parse(runtime('state', 'sandbox').stdout) as { readonly pid: number };
      const joined = types.map((type) =>
        SHARED.includes(type)
          ? { type, path: `/proc/${pid}/ns/${type.replace('network', 'net')}` }
          : { type },
      );
      create('member', joined, 'bash', '-c', 'sleep 600; :');
      const [first, second] = ['sandbox', 'member'].map(namespacesOf);
      assert.deepEqual(second?.slice(0, 4), first?.slice(0, 4));
      assert.notEqual(second?.[4], first?.[4]);
      const shown = () => runtime('exec', 'member', '--', 'ps', '-e').stdout;
      await until(() => /1 \?.* sleep\n[\s\S]* bash\n/.test(shown()), shown);
    } finally {
      for (const id of ['member', 'sandbox']) runtime('delete', '-f', id);
    }
    assert.equal(exec('find', ['/sys/fs/cgroup', '-path', '*jailbuild/member']).stdout, '');
  });

  test('runs containers for podman', async () => {
    const archive = makeImage(directory);
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
    const shown = () => podman('exec', 'server', 'ps', '-e').stdout;
    await until(() => /1 \?.* sleep/.test(shown()), shown);
    assert.equal(podman('rm', '-f', '-t', '0', 'server').status, 0);
    // It leaves mounts behind when the container is gone.
    exec('sh', ['-c', `umount -l ${directory}/store/vfs-containers/*/userdata/shm`]);
  });

  test('runs the containers of podman without root', ROOTLESS, () => {
    const own = path.join(directory, 'rootless');
    mkdirSync(own);
    for (const at of [directory, own]) exec('chmod', ['755', at]);
    // The clone may lie where only root has access.
    const dist = path.join(own, 'package/dist');
    cpSync(path.dirname(RUNTIME), dist, { recursive: true });
    const runtime = path.join(dist, path.basename(RUNTIME));
    const script = `
      P="timeout 200 podman --root $HOME/store --runroot $HOME/run/store --storage-driver vfs --cgroup-manager cgroupfs --runtime $1"
      I=localhost/jailbuild/runtime:v1
      $P load -q -i $2 > /dev/null
      $P run --rm --net none $I bash -c 'echo hello; id -u; exit 7'; echo status $?
      $P run --rm --net none --user 1000:1000 $I id
      $P run --rm --net none --userns keep-id $I id -u
      $P run --rm --net slirp4netns $I bash -c 'while read -r n _; do echo $n; done < /proc/net/dev' | grep tap
      $P run -d --name server --net none $I sleep 600 > /dev/null
      $P exec server ps -e -o comm=; $P rm -f -t 0 server`;
    // The process that keeps podman's user namespace ends with the PID namespace.
    const namespaces = ['-mpf', '--kill-child', '--mount-proc', '--propagation', 'private'];
    const words = [
      ...[...namespaces, 'bash', '-uc', `${WITH_USER} bash -c "$3" bash "\${@:4}"`, 'bash'],
      ...[own, String(NOBODY), script, runtime, makeImage(own)],
    ];
    const { stdout, stderr } = exec('unshare', words, { cwd: '/' });
    assert.equal(
      stdout,
      'hello\n0\nstatus 7\nuid=1000 gid=1000 groups=1000\n54321\ntap0:\nsleep\nps\nserver\n',
      stderr,
    );
  });

  test('refuses a limit that cannot be set, and leaves no cgroup', () => {
    const other = path.join(directory, 'limited');
    mkdirSync(other);
    const whole = config();
    const resources = { cpu: { cpus: '4000' } };
    const changed = {
      ...whole,
      linux: { ...whole.linux, cgroupsPath: '/jailbuild-limit', resources },
    };
    writeFileSync(path.join(other, 'config.json'), JSON.stringify(changed));
    const { stderr, status } = runtime('create', '-b', other, 'f');
    assert.match(stderr, /cgroup \/jailbuild-limit: /);
    assert.notEqual(status, 0);
    assert.equal(exec('find', ['/sys/fs/cgroup', '-name', 'jailbuild-limit']).stdout, '');
  });
});

describe('engines that run the shim of runc', () => {
  const directory = tempDir();

  test("containerd's ctr", needsRoot('containerd', 'ctr', 'unshare'), () => {
    const config = path.join(directory, 'config.toml');
    writeFileSync(
      config,
      [
        ...['version = 2', `root = "${directory}/root"`, `state = "${directory}/state"`],
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        ...['[grpc]', `address = "${directory}/c.sock"`, ''],
      ].join('\n'),
    );
    const run = `$E run --runtime io.containerd.runc.v2 --runc-binary ${RUNTIME}`;
    const image = 'docker.io/jailbuild/runtime:v1';
    const { stdout, stderr } = withEngine(
      `
      S=$1/c.sock; E="ctr -a $S"; containerd --config $2 > $1/log 2>&1 & P=$!
      ${AWAIT}
      $E image import $3 > /dev/null
      timeout 200 ${run} --rm ${image} one bash -c 'echo hello; id -u; exit 7'; echo status $?
      timeout 200 ${run} -d ${image} two sleep 600
      timeout 200 $E task exec --exec-id e two ps -e -o comm=
      $E task kill -s SIGKILL two; for i in $(seq 1200); do $E task ls | grep -q STOPPED && break; sleep 0.1; done
      $E task rm two 2> /dev/null; $E container rm two; $E container ls -q; kill $P; wait $P`,
      ...['bash', directory, config, makeImage(directory)],
    );
    assert.equal(stdout, 'hello\n0\nstatus 7\nsleep\nps\n', stderr);
  });

  test('docker', needsRoot('dockerd', 'docker', 'unshare'), () => {
    const run = 'timeout 200 $E run --runtime jailbuild --network none';
    const { stdout, stderr } = withEngine(
      `
      S=$1/d.sock; E="docker -H unix://$S"
      dockerd -H unix://$S --data-root $1/data --exec-root $1/exec --pidfile $1/pid --storage-driver vfs \
        --iptables=false --ip6tables=false --bridge=none --add-runtime jailbuild=$2 > $1/log 2>&1 & P=$!
      ${AWAIT}
      $E load -q -i $3 > /dev/null
      ${run} --rm --pids-limit 50 --memory 64m jailbuild/runtime:v1 bash -c 'echo hello; exit 7'
      echo status $?
      ${run} --rm -t jailbuild/runtime:v1 bash -c '[ -t 0 ] && echo terminal' | tr -d '\\r'
      ${run} -d --name two jailbuild/runtime:v1 sleep 600 > /dev/null
      timeout 200 $E exec two ps -e -o comm=
      timeout 200 $E rm -f two; kill $P; wait $P`,
      ...['bash', directory, RUNTIME, makeImage(directory)],
    );
    assert.equal(stdout, 'hello\nstatus 7\nterminal\nsleep\nps\ntwo\n', stderr);
  });
});
