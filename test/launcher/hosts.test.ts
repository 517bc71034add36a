import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { launcherArguments } from '../../src/launcher/options.js';
import { exec, INVOKE_NS, PROJECT } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot, needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY, compileFixture, invoke, NOBODY_AS_ROOT, runDirectly } from './support.js';

const LAUNCHER = path.join(PROJECT, `dist/native/linux-${process.arch}/invoke_ns`);

describe('environments and callers of the launcher', needsRoot('gcc', 'unshare', 'setpriv'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');

  before(() => {
    buildJail(jail, ['bash', 'cat', 'ls', 'stat', 'head']);
    for (const name of ['proc', 'dev', 'tmp'])
      mkdirSync(path.join(jail, name), { recursive: true });
    compileFixture('probe', path.join(jail, 'probe'));
  });

  const sh = (script: string, launch = {}, options: Parameters<typeof runDirectly>[3] = {}) =>
    runDirectly(jail, launch, ['bash', '-c', script], options);

  test('a jail runs inside a chroot that is not a mount', () => {
    const outer = path.join(directory, 'outer');
    for (const name of ['proc', 'dev', 'srv'])
      mkdirSync(path.join(outer, name), { recursive: true });
    assert.equal(exec('cp', ['-a', jail, `${outer}/srv/jail`]).status, 0);
    copyFileSync(LAUNCHER, `${outer}/invoke_ns`);
    const inChroot = (shared: string, ...args: string[]) =>
      exec('unshare', [
        ...['-m', '--propagation', shared, 'sh', '-c'],
        ...['mount -t proc proc "$0/proc" && chroot "$0" "$@"; grep -c invoke /proc/mounts >&2'],
        ...[outer, '/invoke_ns', ...args],
      ]);
    for (const shared of ['private', 'shared']) {
      const args = launcherArguments('/srv/jail', {}, ['bash', '-c', 'echo /*']);
      const { stdout, stderr } = inChroot(shared, ...args);
      assert.match(stdout, /^\/bin .*\/probe/);
      // No mount is left for others.
      assert.equal(stderr, '0\n');
      // The way out of the jail does not lead to the chroot or beyond it either.
      const way = launcherArguments('/srv/jail', { seccomp: 'off' }, ['/probe', 'chroot', '/srv']);
      assert.match(inChroot(shared, ...way).stdout, /^held: /);
      // Without a root, the chroot itself is the root.
      const itself = inChroot(shared, '-m', '/srv/jail/probe', 'open-read', '/srv/jail/probe');
      assert.match(itself.stdout, /^out: /);
    }
  });

  const MEMFD = '/proc/sys/vm/memfd_noexec';
  test(
    'works where memory-backed files cannot be executed',
    needsThat(MEMFD, () => existsSync(MEMFD)),
    () => {
      // This sysctl belongs to a PID namespace.
      const { stdout, stderr, status } = exec('unshare', [
        ...['-pf', '--mount-proc', 'sh', '-c'],
        'echo 2 > /proc/sys/vm/memfd_noexec && "$@"',
        ...['sh', LAUNCHER, ...launcherArguments(jail, {}, ['bash', '-c', 'echo $$'])],
      ]);
      assert.equal(stderr, '');
      assert.deepEqual([stdout, status], ['2\n', 0]);
    },
  );

  test('a mount point that is a dangling link is created in the jail', () => {
    const source = path.join(directory, 'resolv.conf');
    writeFileSync(source, 'nameserver 192.0.2.53\n');
    mkdirSync(path.join(jail, 'etc'), { recursive: true });
    const links: Readonly<Record<string, string>> = {
      '/etc/resolv.conf': '../run/systemd/resolve/stub-resolv.conf',
      '/etc/absolute': '/made/absolute',
      '/etc/chain': 'chain-2',
      '/etc/chain-2': `../../../../..${directory}/outside`,
    };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, `${jail}${name}`);
    for (const name of Object.keys(links)) {
      const mounts = [{ source, target: name, readOnly: true, devices: false }];
      const { stdout, stderr } = sh(`cat ${name}`, { mounts });
      assert.equal(stdout, 'nameserver 192.0.2.53\n', stderr);
    }
    assert.ok(lstatSync(`${jail}/run/systemd/resolve/stub-resolv.conf`).isFile());
    assert.equal(existsSync(path.join(directory, 'outside')), false);
    symlinkSync('loop', `${jail}/etc/loop`);
    const { stderr, status } = sh('true', { mounts: [{ target: '/etc/loop' }] });
    assert.match(
      stderr,
      /in the jail .*\/loop: (Too many levels of symbolic links|Symbolic link loop)/,
    );
    assert.equal(status, 125);
  });

  test('a filter may deny everything that the launcher does except execve', () => {
    const program = path.join(directory, 'seven.c');
    writeFileSync(
      program,
      'void _start(void) { __asm__ volatile("syscall" :: "a"(231), "D"(7)); __builtin_unreachable(); }\n',
    );
    const built = exec('gcc', ['-nostdlib', '-static', '-O1', '-o', `${jail}/seven`, program]);
    assert.equal(built.status, 0, built.stderr);
    const seccomp = path.join(directory, 'execve-only');
    // execve and exit_group; with new privileges also capset.
    writeFileSync(seccomp, allowing([59, 231]));
    assert.equal(runDirectly(jail, { seccomp }, ['/seven']).status, 7);
    assert.equal(runDirectly(jail, { seccomp, user: '7:7' }, ['/seven']).status, 7);
    assert.equal(runDirectly(jail, { seccomp, noInit: true }, ['/seven']).status, 7);
    writeFileSync(seccomp, allowing([59, 231, 126]));
    const more = { seccomp, allowNewPrivileges: true };
    assert.equal(runDirectly(jail, more, ['/seven']).status, 7);
    assert.equal(runDirectly(jail, { ...more, user: '7' }, ['/seven']).status, 7);
    // The filter is in force.
    assert.equal(runDirectly(jail, { seccomp }, ['/probe', 'rights']).status, 128 + 31);
  });

  test('allowing new privileges leaves the same capabilities with and without a filter', () => {
    const status = (launch: object): string =>
      sh('cat /proc/self/status', launch).stdout.replace(
        /[\s\S]*?(CapInh[\s\S]*Seccomp:\t\d)[\s\S]*/,
        '$1',
      );
    for (const user of [undefined, '1000']) {
      const one = { ...(user === undefined ? {} : { user }), allowNewPrivileges: true };
      const withFilter = status(one);
      assert.match(withFilter, /Seccomp:\t2$/);
      assert.match(
        withFilter,
        user === undefined ? /CapEff:\t0*404fb\n/ : /CapPrm:\t0+\nCapEff:\t0+\n/,
      );
      assert.equal(
        withFilter.replace(/Seccomp:\t2$/, ''),
        status({ ...one, seccomp: 'off' }).replace(/Seccomp:\t0$/, ''),
      );
    }
  });

  test('a file on standard input cannot be written to, and is read from its current offset', () => {
    const file = path.join(directory, 'input');
    const callers = [
      [[], {}],
      [AS_NOBODY, { userMaps: NOBODY_AS_ROOT }],
    ] as const;
    for (const [caller, launch] of callers) {
      writeFileSync(file, 'one\ntwo\nthree\n', { mode: 0o666 });
      exec('chmod', ['666', file]);
      const inside = 'read -r line; echo "in $line"; echo evil > /proc/self/fd/0';
      const args = [
        ...caller,
        INVOKE_NS,
        ...launcherArguments(jail, launch, ['bash', '-c', inside]),
      ];
      const script = '{ read -r a; echo "out $a"; "$@"; read -r b; echo "out $b"; } < "$0"';
      const { stdout, stderr } = exec('bash', ['-c', script, file, ...args]);
      assert.equal(stdout, 'out one\nin two\nout three\n');
      assert.match(stderr, /Read-only file system/);
      assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\nthree\n');
    }
    // With only the launcher's older options it can.
    exec('bash', [
      '-c',
      `${INVOKE_NS} ${jail}/bin/bash -c 'echo evil > /proc/self/fd/0' < ${file}`,
    ]);
    assert.match(readFileSync(file, 'utf8'), /^evil/);
    // An unnamed file keeps its flags.
    const gone = `exec 3< ${file}; rm ${file}; "$@" <&3`;
    const words = [INVOKE_NS, ...launcherArguments(jail, {}, ['head', '-n1'])];
    assert.equal(exec('bash', ['-c', gone, 'bash', ...words]).stdout, 'evil\n');
  });

  test('sizes that overflow in the kernel are refused', () => {
    for (const size of ['99999999999999999999', '9999999999g', '17179869185g', '16e', '8E']) {
      for (const key of ['size', 'nr_inodes']) {
        const { stderr, status } = invoke(['-m', '--tmpfs', `/tmp:${key}=${size}`, 'true']);
        assert.match(stderr, /exceeds the maximum of the kernel: \w+=\w+/, size);
        assert.equal(status, 125);
      }
    }
    assert.equal(invoke(['-m', '--tmpfs', '/tmp:size=7e', '/bin/true']).status, 0);
  });

  describe('messages name the cause and the remedy', () => {
    const said = (script: string, ...args: readonly string[]): string => {
      const { stdout, stderr, status } = exec('unshare', ['-m', 'sh', '-c', script, 'sh', ...args]);
      assert.equal(stdout, '');
      assert.equal(status, 125, stderr);
      assert.match(stderr, /^invoke_ns: [^\n]+\n$/);
      return stderr;
    };
    const asUser = [...AS_NOBODY, INVOKE_NS, '--userns', '-pm', '/bin/true'];

    test('if user namespaces are off or exhausted', () => {
      // Inside a user namespace that allows no nested one.
      const nested =
        'exec unshare -Ur sh -c \'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"\' sh "$@"';
      assert.match(
        said(nested, INVOKE_NS, '--userns', '/bin/true'),
        /No space left on device: user namespaces are off: set the sysctl user\.max_user_namespaces/,
      );
      const one = nested.replace('echo 0', 'echo 1');
      assert.match(
        said(one, INVOKE_NS, '--userns', '--', INVOKE_NS, '--userns', '/bin/true'),
        /raise the sysctl user\.max_user_namespaces/,
      );
    });

    test('if the caller is neither root nor asks for a user namespace', () => {
      assert.match(
        said('exec "$@"', ...AS_NOBODY, INVOKE_NS, '-n', '/bin/true'),
        /make the namespaces: Operation not permitted: this takes root, or a user namespace: --userns/,
      );
    });

    test('if an engine around the launcher allows no namespaces', () => {
      const filter = path.join(directory, 'no-clone');
      // clone(2) fails with EPERM.
      writeFileSync(filter, failing(56, 1));
      assert.match(
        said(
          'exec "$@"',
          INVOKE_NS,
          '--seccomp',
          filter,
          '--no-new-privs',
          ...[INVOKE_NS, '-n', '/bin/true'],
        ).replace(/^.*vfork.*$/m, ''),
        /a filter for system calls is in force here/,
      );
    });

    test('if a user namespace around the launcher keeps the groups', () => {
      const before = ['unshare', '-Ur'];
      const { stderr, status } = sh(':', {}, { before });
      assert.match(
        stderr,
        /change the supplementary groups: Operation not permitted: .* --userns root\)$/m,
      );
      assert.equal(status, 125);
      const one = [{ inside: 0, outside: 0, count: 1 }];
      const within = sh(':', { userMaps: { uids: one, gids: one } }, { before });
      assert.equal(within.status, 0, within.stderr);
    });

    test('if /proc is masked', () => {
      const masked =
        'mount -t tmpfs none /proc/scsi 2>/dev/null || mount -t tmpfs none /proc/fs; exec "$@"';
      assert.match(said(masked, ...asUser), /the \/proc here is masked, .*--proc none/);
    });

    test('if the jail belongs to another user', () => {
      const bare = path.join(directory, 'bare');
      mkdirSync(bare);
      const { stderr, status } = runDirectly(bare, { userMaps: NOBODY_AS_ROOT }, ['true'], {
        before: AS_NOBODY,
      });
      assert.match(
        stderr,
        /make in the jail \/proc: Permission denied: the jail is another user's/,
      );
      assert.equal(status, 125);
    });

    test('if the user is not in the namespace', () => {
      writeFileSync(path.join(jail, 'etc/passwd'), 'web:x:33:33::/:\n');
      const { stderr } = sh(
        'true',
        { userMaps: NOBODY_AS_ROOT, user: 'web' },
        { before: AS_NOBODY },
      );
      assert.match(
        stderr,
        /Invalid argument: it is not in the user namespace: map it .*--map-auto/,
      );
    });

    test('if the cgroup belongs to another user', () => {
      const { stderr } = sh('true', { userMaps: NOBODY_AS_ROOT, pids: 10 }, { before: AS_NOBODY });
      assert.match(stderr, /limit by cgroup: .*(Delegate=yes|Read-only)/);
    });
  });
});

/**
 * Returns a binary filter that allows some system calls of x86-64, and kills the process at any
 * other.
 */
function allowing(numbers: readonly number[]): Buffer {
  return program([
    [0x20, 0, 0, 0],
    ...numbers.map((number, i) => [0x15, numbers.length - i, 0, number]),
    [0x06, 0, 0, 0x80000000],
    [0x06, 0, 0, 0x7fff0000],
  ]);
}

function failing(number: number, errno: number): Buffer {
  return program([
    [0x20, 0, 0, 0],
    [0x15, 0, 1, number],
    [0x06, 0, 0, 0x00050000 + errno],
    [0x06, 0, 0, 0x7fff0000],
  ]);
}

/** struct sock_filter, one after the other. */
function program(instructions: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    instructions.map(([code = 0, yes = 0, no = 0, k = 0]) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt16LE(code, 0);
      bytes.writeUInt8(yes, 2);
      bytes.writeUInt8(no, 3);
      bytes.writeUInt32LE(k, 4);
      return bytes;
    }),
  );
}
