import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, networkInterfaces, constants as osConstants } from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { CAPABILITIES, chooseCapabilities } from '../../src/launcher/capabilities.js';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { exec, INVOKE_NS, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail, runInJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { assertEndsWith } from '../support/survivor.js';
import { tempDir } from '../support/temp-dir.js';
import {
  AS_NOBODY,
  compileFixture,
  invoke,
  NOBODY,
  NOBODY_AS_ROOT,
  onTerminal,
  runDirectly,
} from './support.js';

const PROGRAMS = [
  'bash',
  'cat',
  'env',
  'id',
  'ls',
  'mkdir',
  'ps',
  'readlink',
  'sleep',
  'stat',
  'stty',
  'touch',
];

interface Caller {
  readonly launch: LaunchOptions;
  readonly before: readonly string[];
}

const ROOT: Caller = { launch: {}, before: [] };
const CALLERS: Readonly<Record<string, Caller>> = {
  root: ROOT,
  'a user without rights': { launch: { userMaps: NOBODY_AS_ROOT }, before: AS_NOBODY },
};

describe('behaviour of run', needsRoot('gcc', 'setpriv', 'unshare', 'script', 'ps'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const data = path.join(directory, 'data');

  before(() => {
    buildJail(jail, PROGRAMS);
    for (const name of ['proc', 'dev', 'tmp', 'data'])
      mkdirSync(path.join(jail, name), { recursive: true });
    writeFileSync(path.join(jail, 'file'), '');
    mkdirSync(path.join(data, 'sub'), { recursive: true });
    chmodSync(data, 0o777);
    writeFileSync(path.join(data, 'text'), 'of the host\n');
    compileFixture('grow', path.join(jail, 'grow'));
    // Only in the jail.
    writeFileSync(
      path.join(jail, 'etc/passwd'),
      'root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:\n',
    );
    writeFileSync(path.join(jail, 'etc/group'), 'users:x:100:\nstaff:x:50:ann\n');
  });

  /** Returns what a script prints in the jail, and fails if anything else happens. */
  const sh = (script: string, launch: LaunchOptions = {}, caller: Caller = ROOT): string => {
    const { stdout, stderr, status } = runDirectly(
      jail,
      { ...caller.launch, ...launch },
      ['bash', '-c', script],
      { before: caller.before },
    );
    assert.equal(stderr, '', script);
    assert.equal(status, 0, script);
    return stdout.trimEnd();
  };
  /** Returns the same for a script that must fail. */
  const fails = (script: string, launch: LaunchOptions = {}, caller: Caller = ROOT) => {
    const done = runDirectly(jail, { ...caller.launch, ...launch }, ['bash', '-c', script], {
      before: caller.before,
    });
    assert.notEqual(done.status, 0, script);
    return done;
  };
  const bind = (target: string, more: object = {}) => ({
    mounts: [{ source: data, target, readOnly: false, devices: false, ...more }],
  });

  for (const [who, caller] of Object.entries(CALLERS)) {
    describe(`as ${who}`, () => {
      test('a bound directory of the host can be read and written', () => {
        const script = 'cat /data/text; echo of the jail > /data/new';
        assert.equal(sh(script, bind('/data'), caller), 'of the host');
        assert.equal(exec('cat', [path.join(data, 'new')]).stdout, 'of the jail\n');
        assert.equal(exec('rm', [path.join(data, 'new')]).status, 0);
      });

      test('a read-only mount and the mounts below it cannot be written to', () => {
        const { stderr } = fails('echo x > /data/new', bind('/data', { readOnly: true }), caller);
        assert.match(stderr, /Read-only file system/);
        const inner = path.join(data, 'sub');
        const args = launcherArguments(
          jail,
          { ...caller.launch, ...bind('/data', { readOnly: true }) },
          ['bash', '-c', 'echo x > /data/sub/new'],
        );
        const script = `mount -t tmpfs none ${inner} && chmod 1777 ${inner} && "$@"`;
        const words = ['-m', 'sh', '-c', script, 'sh', ...caller.before, INVOKE_NS];
        assert.match(exec('unshare', [...words, ...args]).stderr, /Read-only file system/);
      });

      test('a file of the host can replace one in the jail', () => {
        const mount = { source: path.join(data, 'text'), target: '/file' };
        const launch = { mounts: [{ ...mount, readOnly: true, devices: false }] };
        assert.equal(sh('cat /file', launch, caller), 'of the host');
        assert.match(fails('echo > /file', launch, caller).stderr, /Read-only file system/);
        const wrong = fails(
          'true',
          { mounts: [{ ...mount, target: '/data' }] } as LaunchOptions,
          caller,
        );
        assert.equal(wrong.status, 125);
        assert.match(wrong.stderr, /mount at \/data: Is a directory/);
      });

      test('devices only work in mounts of --dev-bind', () => {
        const zero = { source: '/dev', target: '/data', readOnly: false };
        const read = 'read -rn1 -d "" < /data/null; [ $? = 1 ]';
        assert.match(
          fails('exec < /data/null', { mounts: [{ ...zero, devices: false }] }, caller).stderr,
          /Permission denied/,
        );
        sh(read, { mounts: [{ ...zero, devices: true }] }, caller);
      });

      test('a tmpfs is empty, disappears afterwards, and has its options', () => {
        const script = 'ls -A /data; stat -c %a /data; echo x > /data/new; stat -f -c %b:%S /data';
        const launch = { mounts: [{ target: '/data', options: 'size=64k,mode=0700' }] };
        assert.equal(sh(script, launch, caller), '700\n16:4096');
        assert.deepEqual(readdirSync(path.join(jail, 'data')), []);
        assert.equal(sh('stat -c %a /tmp', { mounts: [{ target: '/tmp' }] }, caller), '1777');
      });

      test('a read-only root cannot be written to, but mounts in it can', () => {
        const launch = { readOnly: true, mounts: [{ target: '/tmp' }] };
        sh('echo x > /tmp/new; echo x > /dev/shm/new', launch, caller);
        for (const file of ['/new', '/etc/passwd'])
          assert.match(fails(`echo x > ${file}`, launch, caller).stderr, /Read-only file system/);
      });

      test('/dev contains what nearly every program expects, and nothing else', () => {
        assert.equal(
          sh('ls -x --width=200 /dev', {}, caller).replace(/\s+/g, ' '),
          'core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero',
        );
        const script =
          'stat -c %t:%T /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; ls /dev/pts';
        assert.equal(sh(script, {}, caller), '1:3\n1:5\n1:7\n1:8\n1:9\n5:0\nptmx');
        assert.match(fails('echo x > /dev/full', {}, caller).stderr, /No space left on device/);
      });

      test('/proc shows the processes of the jail, and hides the host', () => {
        const script = 'for p in /proc/[0-9]*; do echo $(< $p/comm); done';
        assert.equal(sh(script, {}, caller), 'init\nbash');
        const hidden = ['interrupts', 'keys', 'timer_list'];
        const there = hidden.filter((name) => existsSync(`/proc/${name}`));
        assert.ok(there.length > 0);
        for (const file of there) assert.equal(sh(`cat /proc/${file}`, {}, caller), '', file);
        const options =
          'while read -r _ m _ o _; do [ $m = /proc ] && echo $o; done < /proc/mounts';
        assert.match(sh(`${options}; true`, {}, caller), /nosuid,nodev,noexec/);
      });

      test('all namespaces are new unless shared by options', () => {
        const names = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts', 'time'];
        const differing = (launch: LaunchOptions): string[] => {
          const script = names.map((name) => `readlink /proc/self/ns/${name}`).join(';');
          const inside = sh(script, launch, caller).split('\n');
          return names.filter((name, i) => inside[i] !== readlinkSync(`/proc/self/ns/${name}`));
        };
        const user = caller.launch.userMaps === undefined ? [] : ['user'];
        const sorted = (...list: string[]): string[] => names.filter((name) => list.includes(name));
        const usual = ['cgroup', 'ipc', 'mnt', 'pid', 'uts', ...user];
        assert.deepEqual(differing({}), sorted(...usual));
        assert.deepEqual(differing({ isolateNetwork: true }), sorted(...usual, 'net'));
        assert.deepEqual(differing({ clockOffsets: {} }), sorted(...usual, 'time'));
        assert.deepEqual(
          differing({ shareIpc: true, shareCgroups: true }),
          sorted('mnt', 'pid', 'uts', ...user),
        );
      });

      test('a new network namespace has a loopback interface that is up', () => {
        const script = 'while read -r n _; do [[ $n = *: ]] && echo $n; done < /proc/net/dev; true';
        assert.equal(sh(script, { isolateNetwork: true }, caller), 'lo:');
        const host = sh(script, {}, caller);
        for (const name of Object.keys(networkInterfaces())) assert.ok(host.includes(`${name}:`));
        const refused = fails('exec 3<> /dev/tcp/127.0.0.1/9', { isolateNetwork: true }, caller);
        assert.match(refused.stderr, /Connection refused/);
      });

      test('the clocks can be shifted', () => {
        const up = (launch: LaunchOptions): number =>
          Number(sh('read -r up _ < /proc/uptime; echo $up', launch, caller));
        const moved = up({ clockOffsets: { boottime: 1_000_000 } }) - up({});
        assert.ok(Math.abs(moved - 1_000_000) < 1000, `${moved}`);
      });

      test("the cgroup is shown from the jail's own downwards", () => {
        const groups = sh('cat /proc/self/cgroup', {}, caller);
        assert.ok(
          groups.split('\n').every((line) => line.endsWith(':/')),
          groups,
        );
      });

      test('the host name is that of the directory, or the given one', () => {
        assert.equal(sh('echo $HOSTNAME', {}, caller), 'jail');
        assert.equal(sh('echo $HOSTNAME', { hostname: 'other' }, caller), 'other');
        assert.notEqual(hostname(), 'other');
      });

      test('the environment is cleared', () => {
        const { stdout } = runDirectly(
          jail,
          { ...caller.launch, env: { A: 'b c', D: '' } },
          ['env'],
          {
            before: caller.before,
            env: { ...process.env, SECRET: 'x', TERM: 'vt100' },
          },
        );
        const term = process.env.TERM === undefined ? '' : `TERM=${process.env.TERM}\n`;
        assert.equal(
          stdout,
          `PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/\n${term}A=b c\nD=\n`,
        );
      });

      test('the working directory, the umask and the limits are as requested', () => {
        const script = 'pwd; umask; ulimit -n; ulimit -Hn; ulimit -c';
        const launch: LaunchOptions = {
          cwd: '/usr',
          umask: '077',
          rlimits: [
            { name: 'nofile', soft: 100, hard: 200 },
            { name: 'core', soft: 0, hard: 0 },
          ],
        };
        assert.equal(sh(script, launch, caller), '/usr\n0077\n100\n200\n0');
        assert.equal(sh('pwd; umask', {}, caller), '/\n0022');
      });

      test('only the standard streams are open', () => {
        const command = launcherArguments(jail, caller.launch, ['ls', '/proc/self/fd']);
        const words = [...caller.before, INVOKE_NS, ...command];
        const { stdout } = exec('bash', ['-c', 'exec 7< /etc 9< /etc/passwd; "$@"', 'x', ...words]);
        // 3 is the directory that ls reads.
        assert.equal(stdout, '0\n1\n2\n3\n');
      });

      test('root has nine capabilities, and cannot gain others', () => {
        const status = sh('cat /proc/self/status', {}, caller);
        const set = (name: string): string[] => capabilitiesOf(status, name);
        const nine = chooseCapabilities([], []).bounding;
        assert.equal(nine.length, 9);
        assert.deepEqual(set('CapEff'), nine);
        assert.deepEqual(set('CapPrm'), nine);
        assert.deepEqual(set('CapBnd'), nine);
        assert.deepEqual(set('CapInh'), []);
        assert.deepEqual(set('CapAmb'), []);
        assert.match(status, /^NoNewPrivs:\t1$/m);
        assert.match(status, /^Seccomp:\t2$/m);
        const open = sh(
          'cat /proc/self/status',
          { seccomp: 'off', allowNewPrivileges: true },
          caller,
        );
        assert.match(open, /^NoNewPrivs:\t0$/m);
        assert.match(open, /^Seccomp:\t0$/m);
      });

      test('capabilities can be added and dropped', () => {
        const effective = (add: string[], drop: string[]): string[] => {
          const capabilities = chooseCapabilities(add, drop);
          return capabilitiesOf(sh('cat /proc/self/status', { capabilities }, caller), 'CapEff');
        };
        assert.deepEqual(effective([], ['ALL']), []);
        assert.deepEqual(effective(['net_raw'], ['all']), ['net_raw']);
        const less = effective([], ['CAP_KILL', 'fowner']);
        assert.ok(!less.includes('kill') && !less.includes('fowner'));
        assert.ok(less.includes('net_bind_service'));
      });

      test('the first process reaps orphans', () => {
        // The orphan ends once its new parent is the init, and leaves init, shell and ps.
        const script =
          '(sleep 0.05 &); for i in {1..600}; do said=$(ps -e -o stat=,comm=); set -- $said; (($# > 6)) || break; sleep 0.1; done; echo "$said"';
        const states = sh(script, {}, caller).split('\n');
        assert.ok(!states.some((line) => line.startsWith('Z')), states.join());
        assert.equal(states.length, 3);
      });

      test('with --no-init the command is the first process', () => {
        assert.equal(sh('echo $$', { noInit: true }, caller), '1');
        assert.equal(sh('echo $$', {}, caller), '2');
      });

      test('exit statuses are passed on', () => {
        const status = (command: readonly string[], launch: LaunchOptions = {}): number | null =>
          runDirectly(jail, { ...caller.launch, ...launch }, command, { before: caller.before })
            .status;
        assert.equal(status(['bash', '-c', 'exit 7']), 7);
        assert.equal(status(['bash', '-c', 'kill -KILL $$']), 137);
        assert.equal(status(['no-such']), 127);
        assert.equal(status(['/file']), 126);
        assert.equal(status(['/file/none']), 127);
        assert.equal(status(['bash'], { cwd: '/none' }), 125);
        assert.equal(status(['bash'], { user: 'nobody-of-this-name' }), 125);
      });

      test('a name that looks like an option is a command after --', () => {
        const done = runDirectly(jail, caller.launch, ['--dev-bind', '/dev', '/dev', 'ls'], {
          before: caller.before,
        });
        assert.equal(done.status, 127);
        assert.match(done.stderr, /execute --dev-bind: No such file/);
      });

      test('-v prints the steps', () => {
        const { stdout } = runDirectly(jail, { ...caller.launch, verbose: true }, ['ls', '/file'], {
          before: caller.before,
        });
        for (const step of ['mounting proc at /proc', 'dropping capabilities', 'executing ls'])
          assert.match(stdout, new RegExp(`: ${step}$`, 'm'));
      });

      test('a new terminal has the size of the present one, and controls the session', () => {
        const script =
          'echo /dev/pts/*; [ -c /dev/console ] && [ -t 0 ] && stty size; ps -o tty= $$';
        const launch = { ...caller.launch, tty: true };
        const args = launcherArguments(jail, launch, ['bash', '-c', script]);
        assert.equal(
          onTerminal([...caller.before, INVOKE_NS, ...args], 'rows 31 cols 77'),
          '/dev/pts/0 /dev/pts/ptmx\n31 77\npts/0\n',
        );
      });

      test('SIGTERM reaches the command, and the jail ends with the launcher', async () => {
        const start = async (script: string) => {
          const [file = '', ...args] = [
            ...caller.before,
            ...[INVOKE_NS, ...launcherArguments(jail, caller.launch, ['bash', '-c', script])],
          ];
          const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
          await once(child.stdout, 'data');
          return child;
        };
        const trap = 'trap "exit 33" TERM; echo ready; while :; do sleep 0.05; done';
        const trapped = await start(trap);
        trapped.kill('SIGTERM');
        assert.deepEqual(await once(trapped, 'exit'), [33, null]);

        const plain = await start('echo ready; exec sleep 60');
        plain.kill('SIGTERM');
        assert.deepEqual(await once(plain, 'exit'), [143, null]);

        const mark = `6${process.pid}.${who.length}`;
        const killed = await start(`echo ready; sleep ${mark} & exec sleep ${mark}`);
        await assertEndsWith(killed, mark);
      });
    });
  }

  test('the jail ends with the launcher if its root is another user outside', async () => {
    const range = [{ inside: 0, outside: 200000, count: 65536 }];
    for (const user of [{}, { user: '1000' }]) {
      const mark = `7${process.pid}.${Object.keys(user).length}`;
      const launch = { userMaps: { uids: range, gids: range }, ...user };
      const script = `echo ready; exec sleep ${mark}`;
      const args = launcherArguments(jail, launch, ['bash', '-c', script]);
      const child = spawn(INVOKE_NS, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      await assertEndsWith(child, mark);
    }
  });

  describe('a new terminal with redirected output', needsRoot('perl', 'timeout'), () => {
    /** What bash runs to start the launcher with a new terminal. */
    const outside = (script: string, ...command: string[]) => {
      const words = [INVOKE_NS, ...launcherArguments(jail, { tty: true }, command)];
      return exec('timeout', ['100', 'bash', '-c', script, 'bash', ...words]);
    };

    test('delivers everything to a slow reader on a non-blocking pipe', () => {
      const nonblocking = 'fcntl(STDOUT, 4, 04001); exec @ARGV';
      const { stdout, status } = outside(
        `perl -e '${nonblocking}' "$@" < /dev/null | (sleep 0.3; wc -c); exit \${PIPESTATUS[0]}`,
        ...['bash', '-c', 'for i in {1..50000}; do echo 12345678; done'],
      );
      assert.equal(status, 0);
      assert.equal(stdout.trim(), '500000');
    });

    test('ends on input without a final newline', () => {
      assert.equal(outside('printf abc | "$@"', 'cat').stdout, 'abcabc');
      assert.equal(outside('echo abc | "$@"', 'cat').stdout, 'abc\r\nabc\r\n');
    });

    test('ends by SIGTERM while nobody reads', () => {
      const { stdout } = outside(
        'mkfifo "$0" && exec 9<> "$0"; "$@" >&9 < /dev/null & sleep 0.5; kill $!; wait $!; echo $?'
          // A fifo that nobody empties.
          .replaceAll('"$0"', path.join(directory, 'full')),
        ...['cat', '/dev/zero'],
      );
      assert.equal(stdout, '143\n');
    });

    test('hangs up when its reader ends, and restores the outer terminal', () => {
      const said = onTerminal([
        ...['bash', '-c', 'set -o pipefail; "$@" | read; echo $?; stty -a', 'bash', INVOKE_NS],
        ...launcherArguments(jail, { tty: true }, ['bash', '-c', 'while :; do echo x; done']),
      ]);
      assert.match(said, /^129$/m);
      assert.match(said, /[^-]icanon/);
    });
  });

  describe('users', () => {
    test('a user is given by name or number, with another group if needed', () => {
      const as = (user: string): string => sh('id -u; id -g; id -G; echo $HOME', { user });
      assert.equal(as('ann'), '1000\n100\n100\n/home/ann');
      assert.equal(as('1000'), '1000\n100\n100\n/home/ann');
      assert.equal(as('ann:staff'), '1000\n50\n50\n/home/ann');
      assert.equal(as('4000'), '4000\n4000\n4000\n/');
      assert.equal(as('4000:staff'), '4000\n50\n50\n/');
    });

    test('an endless passwd of the jail is not read', () => {
      const file = path.join(jail, 'etc/passwd');
      const before = readFileSync(file);
      try {
        truncateSync(file, 2 ** 40);
        const { stderr, status } = fails('true', { user: 'bob' });
        assert.equal(stderr, 'invoke_ns: too large in the jail: /etc/passwd\n');
        assert.equal(status, 125);
        const bundle = path.join(directory, 'endless');
        const written = jailbuild(['run', jail, '--user', 'bob', '--oci-bundle', bundle]);
        assert.match(written.stderr, /^jailbuild: --user bob: no such user [^\n]*\n$/);
      } finally {
        writeFileSync(file, before);
      }
    });

    test('root keeps no supplementary groups of the caller', () => {
      const args = launcherArguments(jail, {}, ['id', '-G']);
      const { stdout } = exec('setpriv', ['--groups=4,20', '--', INVOKE_NS, ...args]);
      assert.equal(stdout, '0\n');
      assert.equal(exec('setpriv', ['--groups=4,20', '--', 'id', '-G']).stdout, '0 4 20\n');
    });

    test('other users have no capabilities except those added by name', () => {
      const effective = (launch: LaunchOptions): string[] =>
        capabilitiesOf(sh('cat /proc/self/status', { user: 'ann', ...launch }), 'CapEff');
      assert.deepEqual(effective({}), []);
      assert.deepEqual(effective({ capabilities: chooseCapabilities(['net_raw'], []) }), [
        'net_raw',
      ]);
    });

    test('a user namespace maps its users', () => {
      const ranges = [{ inside: 0, outside: 300000, count: 2000 }];
      const launch = { userMaps: { uids: ranges, gids: ranges } };
      const map = sh('cat /proc/self/uid_map /proc/self/gid_map; id -u', launch);
      assert.equal(map.replace(/ +/g, ' '), ' 0 300000 2000\n 0 300000 2000\n0');
      // Root there has no rights to files of the host's root.
      assert.match(fails('echo x > /file', launch).stderr, /Permission denied/);
      const made = sh('mkdir /data/made; stat -c %u /data/made', { ...launch, ...bind('/data') });
      assert.equal(made, '0');
      assert.equal(exec('stat', ['-c', '%u', path.join(data, 'made')]).stdout, '300000\n');
    });

    test('a root that is another user outside finds its mount points', () => {
      const fresh = path.join(directory, 'fresh');
      buildJail(fresh, PROGRAMS);
      const range = [{ inside: 0, outside: 200000, count: 65536 }];
      const mounts = [
        { target: '/tmp', options: 'size=1m,mode=1777' },
        { source: data, target: '/tmp/data', readOnly: true, devices: false },
        { source: data, target: '/srv/data', readOnly: true, devices: false },
        { source: path.join(data, 'text'), target: '/text', readOnly: true, devices: false },
      ];
      const launch = { userMaps: { uids: range, gids: range }, user: '1000', mounts };
      const script = 'id -u; touch /tmp/new /dev/shm/new; cat /text /tmp/data/text /srv/data/text';
      for (const readOnly of [true, false]) {
        const { stdout, stderr } = runDirectly(fresh, { ...launch, readOnly }, [
          ...['bash', '-c', script],
        ]);
        assert.equal(stderr, '');
        assert.equal(stdout, `1000\n${'of the host\n'.repeat(3)}`);
      }
      const made = readdirSync(fresh).filter((name) => !name.startsWith('.'));
      for (const name of ['proc', 'dev', 'tmp', 'srv', 'text'])
        assert.ok(made.includes(name), name);
      assert.deepEqual(readdirSync(path.join(fresh, 'tmp')), []);
      const refused = runDirectly(fresh, { ...launch, mounts: [{ target: '/text/x' }] }, ['id']);
      assert.match(
        refused.stderr,
        /^invoke_ns: (open|make) in the jail \/text\/x: Not a directory/,
      );
    });

    test("--userns keep keeps the user's number", () => {
      const keep = [{ inside: NOBODY, outside: NOBODY, count: 1 }];
      const caller = { launch: { userMaps: { uids: keep, gids: keep } }, before: AS_NOBODY };
      assert.equal(
        sh('id -u; id -g; echo x > /data/mine; stat -c %u /data/mine', bind('/data'), caller),
        `${NOBODY}\n${NOBODY}\n${NOBODY}`,
      );
      assert.equal(exec('rm', [path.join(data, 'mine')]).status, 0);
      assert.deepEqual(capabilitiesOf(sh('cat /proc/self/status', {}, caller), 'CapEff'), []);
    });

    test('a mount gives no access to a file that the user may not read', () => {
      const secret = path.join(directory, 'secret');
      mkdirSync(secret, { mode: 0o700 });
      writeFileSync(path.join(secret, 'file'), 'x', { mode: 0o600 });
      writeFileSync(path.join(directory, 'shadow'), 'x', { mode: 0o600 });
      const caller = CALLERS['a user without rights'] as Caller;
      const mount = { target: '/file', readOnly: true, devices: false };
      const shadow = { mounts: [{ ...mount, source: path.join(directory, 'shadow') }] };
      assert.match(fails('cat /file', shadow, caller).stderr, /Permission denied/);
      const inside = fails(
        'true',
        { mounts: [{ ...mount, source: path.join(secret, 'file') }] },
        caller,
      );
      assert.match(inside.stderr, /copy the mount of .*Permission denied/);
      assert.equal(inside.status, 125);
    });
  });

  describe('limits', () => {
    const memory = 32 * 1024 * 1024;

    test('the number of processes is limited', () => {
      const script = 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait; echo done';
      assert.equal(sh(script, { pids: 20 }), 'done');
      const { stderr } = runDirectly(jail, { pids: 4 }, ['bash', '-c', script], {});
      assert.match(stderr, /fork: .*Resource temporarily unavailable/);
    });

    test('memory is limited', () => {
      assert.equal(runDirectly(jail, {}, ['/grow', '100']).status, 0);
      assert.equal(runDirectly(jail, { memory }, ['/grow', '8']).status, 0);
      assert.equal(runDirectly(jail, { memory }, ['/grow', '100']).status, 137);
    });

    test('processor time is limited', () => {
      const cpu = existsSync('/sys/fs/cgroup/cgroup.controllers') ? '' : '/cpu';
      const mount = {
        source: `/sys/fs/cgroup${cpu}`,
        target: '/data',
        readOnly: true,
        devices: false,
      };
      const script = 'cat /data/jail-*/cpu.cfs_quota_us /data/jail-*/cpu.max 2> /dev/null; true';
      assert.match(sh(script, { cpus: 0.5, mounts: [mount] }), /^50000( 100000)?$/);
    });

    test('groups are removed, also after a failure', () => {
      // Other jails of the machine may have groups as well.
      for (const [root, expected] of [
        [jail, 0],
        ['/no/such', 125],
      ] as const) {
        const launch = { pids: 10, memory, cpus: 1, verbose: true };
        const { status, stdout, stderr } = runDirectly(root, launch, ['bash', '-c', 'true']);
        assert.equal(status, expected, stderr);
        const groups = [...stdout.matchAll(/making the cgroup (.*)$/gm)].map(([, at]) => at ?? '');
        assert.ok(groups.length > 0, stdout);
        assert.deepEqual(groups.filter(existsSync), []);
      }
    });

    test('groups of killed launchers are removed by the next one', () => {
      const { stdout } = runDirectly(jail, { pids: 10, verbose: true }, ['true']);
      const [, parent = '', own = ''] = /making the cgroup (.*)\/jail-(\d+)$/m.exec(stdout) ?? [];
      assert.match(parent, /^\/sys\/fs\/cgroup/, stdout);
      const groups = {
        'killed long ago': `${parent}/jail-${own}`,
        'killed just now': `${parent}/jail-${2 ** 22 - 1}`,
        running: `${parent}/jail-${process.pid}`,
        other: `${parent}/jail-${own}x`,
      };
      const old = new Date(Date.now() - 3_600_000);
      try {
        for (const [name, group] of Object.entries(groups)) {
          mkdirSync(group);
          if (name !== 'killed just now') utimesSync(group, old, old);
        }
        sh('true', { pids: 10 });
        sh('true', { pids: 10 });
        assert.deepEqual(
          Object.entries(groups).flatMap(([name, group]) => (existsSync(group) ? [name] : [])),
          ['killed just now', 'running', 'other'],
        );
      } finally {
        for (const group of Object.values(groups)) if (existsSync(group)) rmdirSync(group);
      }
    });

    test('a user who may not limit gets an error', () => {
      const caller = CALLERS['a user without rights'] as Caller;
      const { stderr, status } = fails('true', { memory }, caller);
      assert.match(stderr, /^invoke_ns: limit by cgroup: .*(Permission denied|Read-only)/);
      assert.equal(status, 125);
    });

    test('a hierarchy without the controller causes an error', () => {
      const args = launcherArguments(jail, { pids: 10 }, ['true']).join(' ');
      const script = `mount -t cgroup2 none /sys/fs/cgroup && ${INVOKE_NS} ${args}`;
      const controllers = exec('unshare', [
        '-m',
        'sh',
        '-c',
        'mount -t cgroup2 none /sys/fs/cgroup && cat /sys/fs/cgroup/cgroup.controllers',
      ]).stdout;
      const { stderr, status } = exec('unshare', ['-m', 'sh', '-c', script]);
      if (controllers.includes('pids')) assert.equal(status, 0);
      else assert.match(stderr, /limit by cgroup: write \/sys\/fs\/cgroup\/cgroup.subtree_control/);
    });
  });

  describe('the filter for system calls', () => {
    test('descriptors of the host are closed even without close_range(2)', () => {
      const file = path.join(directory, 'older');
      writeFileSync(file, filterOf(436, osConstants.errno.ENOSYS));
      const inner = [
        INVOKE_NS,
        ...launcherArguments(jail, {}, ['bash', '-c', 'echo /proc/self/fd/*']),
      ];
      const { stdout, stderr } = invoke([
        ...['--no-new-privs', '--seccomp', file, '--env', `PATH=${process.env.PATH}`],
        ...['bash', '--norc', '-c', 'exec 9< / 100< /; "$@"', 'bash', ...inner],
      ]);
      assert.equal(stderr, '');
      assert.doesNotMatch(stdout, /fd\/(9|100)\b/);
      assert.match(stdout, /fd\/2\b/);
    });

    test('can be read from a file', () => {
      // ioctl(2)
      const file = path.join(directory, 'filter');
      writeFileSync(file, filterOf(process.arch === 'arm64' ? 29 : 16, 42));
      // ioctl fails, so that no terminal is detected.
      const { stderr } = runDirectly(jail, { seccomp: file }, ['/grow', 'ioctl']);
      assert.match(stderr, /No message of desired type/);
      assert.match(runDirectly(jail, {}, ['/grow', 'ioctl']).stderr, /Inappropriate ioctl/);
      writeFileSync(file, 'abc');
      const bad = runDirectly(jail, { seccomp: file }, ['ls']);
      assert.match(bad.stderr, /not a seccomp filter in binary form: .*\/filter/);
      assert.equal(bad.status, 125);
      const none = runDirectly(jail, { seccomp: '/no/such' }, ['ls']);
      assert.match(none.stderr, /open the filter \/no\/such: No such file/);
    });
  });

  test('all of these are options of the run command', () => {
    const options = [
      ...[
        '--bind',
        `${data}:/data:ro`,
        '--tmpfs',
        '/tmp:size=1m',
        '--read-only',
        '--network',
        'none',
      ],
      ...['--user', 'ann:staff', '--cap-add', 'net_raw', '--umask', '027', '--pids-limit', '20'],
      ...['--memory', '64m', '--cpus', '1.5', '--ulimit', 'nofile=64', '--hostname', 'h'],
      ...['--workdir', '/tmp', '-e', 'A=b', '--monotonic', '100'],
    ];
    const script =
      'id -u; id -g; umask; ulimit -n; echo $HOSTNAME $A $PWD; cat /data/text; cat /proc/self/status';
    const { stdout } = runInJail(jail, ['bash', '-c', script], options);
    assert.match(stdout, /^1000\n50\n0027\n64\nh b \/tmp\nof the host\n/);
    assert.deepEqual(capabilitiesOf(stdout, 'CapEff'), ['net_raw']);
  });

  test('the record of the jail can restrict a run, but not extend it', () => {
    const file = path.join(jail, '.jailbuild/record.json');
    const before = readFileSync(file, 'utf8');
    const withRun = (run: object) => {
      writeFileSync(file, JSON.stringify({ ...JSON.parse(before), run }));
      return jailbuild(['run', jail, '--print-command', '--', 'ls']);
    };
    try {
      const larger = ['bind', 'dev-bind', 'cap-add', 'seccomp', 'proc', 'allow-new-privileges'];
      for (const name of [...larger, 'network', 'userns', 'no-dev', 'no-init', '__proto__']) {
        const { stdout, stderr, status } = withRun(JSON.parse(`{"${name}": "ALL"}`));
        assert.match(
          stderr,
          new RegExp(`run option ${name} in the jail's record is allowed on the command line`),
        );
        assert.deepEqual([stdout, status], ['', 125]);
      }
      const ulimit = ['rtprio=99', 'nofile=64:4294967296', 'core=0', 'memlock=unlimited'];
      const { stdout } = withRun({ ulimit, 'cap-drop': ['ALL'], user: '7', tmpfs: ['/run'] });
      const own = exec('bash', ['-c', 'ulimit -Hr; ulimit -Hn; ulimit -Hl']).stdout.split('\n');
      const locked = own[2] === 'unlimited' ? own[2] : Number(own[2]) * 1024;
      for (const words of [
        `--rlimit rtprio=${own[0]}:${own[0]} --rlimit nofile=64:${own[1]} --rlimit core=0:0`,
        `--rlimit memlock=${locked}:${locked}`,
        '--caps none',
        '--user 7',
        '--tmpfs /run',
      ])
        assert.ok(stdout.includes(` ${words} `), stdout);
    } finally {
      writeFileSync(file, before);
    }
  });

  test('the record of the jail is hidden from commands inside', () => {
    assert.equal(existsSync(path.join(jail, '.jailbuild/record.json')), true);
    assert.equal(runInJail(jail, ['ls', '-A', '/.jailbuild']).stdout, '');
    const write = ['bash', '-c', 'echo {} > /.jailbuild/record.json'];
    const { stderr } = jailbuild(['run', jail, '--', ...write]);
    assert.match(stderr, /Read-only file system/);
    // Without the launcher's mount, root could write it.
    assert.match(sh('ls /.jailbuild'), /^record\.json$/m);
  });

  test('--map-auto maps the ranges of /etc/subuid', needsRoot('newuidmap', 'newgidmap'), () => {
    const ranges = path.join(directory, 'ranges');
    writeFileSync(ranges, 'nobody:400000:65536\nroot:500000:65536\n');
    const run = (before: readonly string[], mode = 'root', words = 'cat /proc/self/uid_map') => {
      const command = [
        ...[...before, process.execPath, JAILBUILD, 'run', jail, '--userns', mode],
        ...['--map-auto', '--', ...words.split(' ')],
      ];
      // In a mount namespace of its own: the host's files do not change.
      const files = ['/etc/subuid', '/etc/subgid'];
      const mounts = files.map((file) => `mount --bind ${ranges} ${file}`).join(' && ');
      const { stdout, stderr, status } = exec('unshare', [
        ...['-m', 'sh', '-c', `${mounts} && exec "$@"`, 'sh', ...command],
      ]);
      assert.equal(status, 0, stderr);
      return stdout.replace(/ +/g, ' ');
    };
    assert.equal(run([]), ' 0 500000 65536\n');
    const user = exec('id', ['-u', 'nobody']).stdout.trim();
    const asUser = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--'];
    assert.equal(run(asUser), ` 0 ${user} 1\n 1 400000 65536\n`);
    assert.equal(run(asUser, 'keep-id', 'id -u'), `${user}\n`);
    assert.equal(run([], 'keep-id', 'id -u'), '0\n');
  });

  test('options without their requirements are refused', () => {
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [['--read-only'], /--read-only needs -m/],
      [['-p', '--mask-proc'], /--mask-proc needs -m/],
      [['-m', '--mask-proc'], /--mask-proc needs -p/],
      [['-m', '--read-only'], /--read-only needs -c/],
      [['--uid-map', '0:0:1'], /--uid-map needs --userns/],
      [['--userns', '--uid-map', '0:0:1'], /--uid-map needs --gid-map/],
      [['--monotonic', '1'], /--monotonic needs --time/],
      [['--init'], /--init needs -p/],
      [['--pty'], /--pty needs --dev/],
      [['--memory', '1g'], /--memory takes BYTES, not: 1g/],
      [['--caps', 'chown,none'], /no such capability: none/],
      [['--rlimit', 'x=1'], /unknown resource for --rlimit: x=1/],
      [['--umask', '1777'], /--umask takes OCTAL, not: 1777/],
      [['-m', '--bind', 'a:b'], /--bind takes SRC.*, not: a:b/],
      [['-m', '--tmpfs', 'a'], /--tmpfs takes DEST.*, not: a/],
      [['--userns', '--uid-map', '0:x:1', '--gid-map', '0:0:1'], /a map is INSIDE:OUTSIDE:COUNT/],
    ];
    for (const [args, expected] of refused) {
      const { stderr, stdout, status } = invoke([...args, 'true']);
      assert.match(stderr, expected);
      assert.equal(stdout, '');
      assert.equal(status, 125, args.join(' '));
    }
  });
});

/** Returns the names in a set of /proc/PID/status. */
function capabilitiesOf(status: string, set: string): string[] {
  const [, hex = ''] = new RegExp(`^${set}:\\t([0-9a-f]+)$`, 'm').exec(status) ?? [];
  assert.notEqual(hex, '', status);
  const bits = BigInt(`0x${hex}`);
  return CAPABILITIES.filter((_, number) => (bits >> BigInt(number)) & 1n);
}

/** Returns a binary filter that makes one system call, given by number, fail with an errno. */
function filterOf(number: number, errno: number): Buffer {
  const program = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, 0x00050000 + errno],
    [0x06, 0, 0, 0x7fff0000],
  ];
  return Buffer.concat(program.map(instruction));
}

/** struct sock_filter */
function instruction([code = 0, yes = 0, no = 0, k = 0]: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(yes, 2);
  bytes.writeUInt8(no, 3);
  bytes.writeUInt32LE(k, 4);
  return bytes;
}
