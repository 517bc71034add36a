import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

import { hostname } from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { hideRecord } from '../../src/cli/options/launch.js';
import { CAPABILITIES, chooseCapabilities } from '../../src/launcher/capabilities.js';
import { execArguments } from '../../src/launcher/exec.js';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { type RunningJail, runningJails } from '../../src/launcher/running.js';
import { Cleanup } from '../support/cleanup.js';
import { exec, INVOKE_NS, jailbuild, PROJECT } from '../support/cli.js';
import { needsI386, needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import {
  AS_NOBODY,
  compileFixture,
  invoke,
  NOBODY_AS_ROOT,
  onTerminal,
  runDirectly,
} from './support.js';
import { waysOut } from './ways-out.js';

const ALL = { bounding: CAPABILITIES, ambient: [] };

/**
 * Ways of running a jail. Each must hold; in two, half of the protection is off and the other half
 * must hold.
 */
const RUNS: Readonly<Record<string, LaunchOptions & { readonly asNobody?: boolean }>> = {
  defaults: {},
  'no filter': { seccomp: 'off' },
  'all capabilities': { capabilities: ALL },
  'user namespace': {
    userMaps: {
      uids: [{ inside: 0, outside: 200000, count: 65536 }],
      gids: [{ inside: 0, outside: 200000, count: 65536 }],
    },
  },
  'user 1000': { user: '1000' },
  overlay: { overlay: 'tmpfs' },
  'every option': {
    overlay: 'tmpfs',
    unshareTry: ['user', 'cgroup'],
    assertUsernsDisabled: true,
    seccomp: ['off', 'default'],
    supervision: { lockFiles: ['/probe'] },
    argv0: 'other',
    tty: false,
    mounts: [
      { option: '--dir', value: '/made:700', target: '/made' },
      { option: '--symlink', value: '/made:/link', target: '/link' },
      { option: '--chmod', value: '711:/made', target: '/made' },
      { option: '--mqueue', value: '/made/queues', target: '/made/queues' },
      { option: '--tmpfs', value: '/made/memory', target: '/made/memory' },
    ],
  },
  'without root': { userMaps: NOBODY_AS_ROOT, asNobody: true },
};

describe(
  'escapes from a jail',
  needsRoot('gcc', 'setpriv', 'script', 'setcap', 'sleep', 'busybox'),
  () => {
    const cleanup = new Cleanup();
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    const canary = path.join(directory, 'canary');
    const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
    cleanup.add(() => sleeper.kill('SIGKILL'));

    before(() => {
      mkdirSync(jail);
      writeFileSync(canary, '');
      compileFixture('probe', path.join(jail, 'probe'));
      assert.equal(exec('mknod', ['-m', '666', path.join(jail, 'zero'), 'c', '1', '5']).status, 0);
      for (const name of ['proc', 'dev', 'tmp']) mkdirSync(path.join(jail, name));
      chmodSync(path.join(jail, 'tmp'), 0o1777);
    });

    const mountsAlone = ['-m', '-c', jail];
    const mountsAndPids = ['-pm', '-c', jail];
    const hostProc = [...mountsAlone, '--bind', '/proc'];

    /** A running jail, to be entered. */
    let sleeping: RunningJail;
    before(async () => {
      copyFileSync('/usr/bin/busybox', path.join(jail, 'busybox'));
      const words = launcherArguments(jail, {}, ['/busybox', 'sleep', '600']);
      const child = spawn(INVOKE_NS, words, { stdio: 'ignore' });
      cleanup.add(() => child.kill('SIGKILL'));
      sleeping = await until(
        () => runningJails(0).find(({ root, command }) => root === jail && command[1] === 'sleep'),
        'the jail runs',
      );
    });

    const ways = waysOut(jail, canary, sleeper.pid);

    for (const [name, make] of Object.entries(ways)) {
      test(name, () => {
        const { probe, control, run = {}, except = [] } = make();
        const out = invoke([...control, '/probe', ...probe]);
        assert.match(out.stdout, /^out: /, `control: ${out.stdout}${out.stderr}`);
        for (const [runName, { asNobody, ...options }] of Object.entries(RUNS)) {
          if (except.includes(runName)) continue;
          const result = runDirectly(jail, { ...options, ...run }, ['/probe', ...probe], {
            before: asNobody ? AS_NOBODY : [],
          });
          assert.match(result.stdout, /^held: /, `${runName}: ${result.stdout}${result.stderr}`);
        }
        // Also tried by a command that enters a running jail.
        if (Object.keys(run).length > 0) return;
        const entering = execArguments(sleeping, ['/probe', ...probe], {});
        const entered = exec(INVOKE_NS, entering);
        assert.match(entered.stdout, /^held: /, `entered: ${entered.stdout}${entered.stderr}`);
      });
    }

    /** Returns what the probe prints, whatever its exit status. */
    const inJail = (
      probe: readonly string[],
      launch: LaunchOptions = {},
      options: Parameters<typeof runDirectly>[3] = {},
    ): string => {
      const { stdout, stderr } = runDirectly(jail, launch, ['/probe', ...probe], options);
      return stdout + stderr;
    };

    test('these tests use the arguments of jailbuild run', () => {
      const { stdout } = jailbuild(['run', jail, '--print-command', '--', '/probe', 'x']);
      const words = [
        INVOKE_NS,
        ...launcherArguments(jail, hideRecord(jail, { capabilities: chooseCapabilities([], []) }), [
          '/probe',
          'x',
        ]),
      ];
      const file = stdout.split(' ', 1)[0] ?? '';
      assert.equal(stdout.slice(file.length), `${words.join(' ').slice(INVOKE_NS.length)}\n`);
    });

    test('files of /proc that change the host are read-only', () => {
      const files = ['sysrq-trigger', 'sys/kernel/hostname', 'sys/vm/drop_caches'].concat(
        ...['irq/default_smp_affinity', 'sys/kernel/modprobe', 'sys/net/ipv4/ip_forward'],
      );
      const there = files.map((name) => `/proc/${name}`).filter((name) => existsSync(name));
      assert.ok(there.length >= 3);
      for (const file of there) {
        assert.match(invoke([...mountsAndPids, '/probe', 'open-write', file]).stdout, /^out: /);
        assert.match(inJail(['open-write', file]), /^held: .*: Read-only file system/);
        assert.match(inJail(['open-write', file], { capabilities: ALL }), /^held: .*Read-only/);
      }
    });

    test('an open descriptor of the host cannot be used', () => {
      const withRoot = (command: string): string =>
        exec('bash', ['-c', `exec 9< /; ${command}`]).stdout;
      assert.match(withRoot(`chroot ${jail} /probe descriptors ${canary}`), /^out: /);
      assert.match(withRoot(`${INVOKE_NS} -c ${jail} /probe descriptors ${canary}`), /^held: /);
      const args = launcherArguments(jail, {}, ['/probe', 'descriptors', canary]).join(' ');
      assert.match(withRoot(`${INVOKE_NS} ${args}`), /^held: no descriptor/);
    });

    test('a standard stream that is a directory of the host is refused', () => {
      const args = launcherArguments(jail, {}, ['/probe', 'descriptors', canary]).join(' ');
      const { stdout, stderr, status } = exec('bash', ['-c', `${INVOKE_NS} ${args} < /`]);
      assert.equal(stdout, '');
      assert.match(stderr, /a standard stream is a directory outside the jail: redirect it/);
      assert.equal(status, 125);
      assert.match(
        exec('bash', ['-c', `chroot ${jail} /probe descriptors ${canary} < /`]).stdout,
        /^out: /,
      );
    });

    test('a descriptor of the launcher cannot be used as the working directory', () => {
      for (let fd = 3; fd < 20; fd++) {
        const cwd = `/proc/self/fd/${fd}`;
        const { stdout, stderr, status } = runDirectly(jail, { cwd }, ['/probe', 'climb', canary]);
        // One of its descriptors refers to a directory in the jail.
        if (status === 125) assert.match(stderr, /change to the directory|is outside the root/);
        else assert.match(stdout, /^held: /);
      }
      const outside = exec(path.join(jail, 'probe'), ['climb', canary], { cwd: directory });
      assert.match(outside.stdout, /^out: /);
    });

    test('a signal to the process group does not reach the launcher', () => {
      // Uses its own process group, so that no other process is affected.
      const hit = (args: readonly string[]): boolean => {
        const target = 'trap : USR1; sleep 30 & until grep -q sleep /proc/$!/comm; do :; done';
        const script = `${target}; ${INVOKE_NS} ${args.join(' ')} >&2`;
        // SIGUSR1 has the lower number and is delivered first.
        const { stdout } = exec('setsid', [
          '-w',
          'bash',
          '-c',
          `${script}; kill $!; wait $!; kill -l $?`,
        ]);
        assert.match(stdout, /^(USR1|TERM)\n$/);
        return stdout === 'USR1\n';
      };
      assert.ok(hit(['-pm', '-c', jail, '/probe', 'kill-group']));
      assert.ok(!hit(launcherArguments(jail, {}, ['/probe', 'kill-group'])));
    });

    test('the host name of the host cannot be changed', () => {
      // Inside a UTS namespace of the test, where the control succeeds.
      const after = (args: readonly string[]): string =>
        exec('unshare', ['-u', 'sh', '-c', `${INVOKE_NS} ${args.join(' ')} >&2; hostname`]).stdout;
      assert.equal(after([...mountsAlone, '/probe', 'hostname']), 'leaked\n');
      assert.equal(after(launcherArguments(jail, {}, ['/probe', 'hostname'])), `${hostname()}\n`);
      assert.match(inJail(['hostname']), /^held: /);
      // With the capability, the command changes the jail's host name.
      const allowed = { capabilities: { bounding: ['sys_admin'], ambient: [] } };
      assert.match(inJail(['hostname'], allowed), /^out: /);
      assert.equal(
        after(launcherArguments(jail, allowed, ['/probe', 'hostname'])),
        `${hostname()}\n`,
      );
    });

    test('input cannot be pushed into the terminal', () => {
      for (const way of ['tiocsti', 'tioclinux']) {
        assert.match(onTerminal([INVOKE_NS, ...mountsAlone, '/probe', way]), /^out: /m);
        for (const launch of [{}, { capabilities: ALL }, { tty: true }])
          assert.match(
            // The terminal may echo the input of script(1) first.
            onTerminal([INVOKE_NS, ...launcherArguments(jail, launch, ['/probe', way])]),
            /held: ioctl/,
            way,
          );
      }
    });

    test('set-user-ID programs and capabilities of files grant nothing', () => {
      copyFileSync(path.join(jail, 'probe'), path.join(jail, 'suid'));
      chmodSync(path.join(jail, 'suid'), 0o4755);
      copyFileSync(path.join(jail, 'probe'), path.join(jail, 'capable'));
      assert.equal(exec('setcap', ['cap_chown+ep', path.join(jail, 'capable')]).status, 0);
      for (const program of ['/suid', '/capable']) {
        const user = { user: '1000' };
        assert.match(inJail(['gains', program], { ...user, allowNewPrivileges: true }), /^out: /);
        assert.match(inJail(['gains', program], user), /^held: no rights gained/);
      }
      // Files of a bind mount grant no privileges, even if new privileges are allowed.
      const bind = { source: jail, target: '/bound', readOnly: true, devices: false };
      const bound = { user: '1000', allowNewPrivileges: true, mounts: [bind] };
      assert.match(inJail(['gains', '/bound/suid'], bound), /^held: no rights gained/);
    });

    test("keys of the caller's session cannot be read", () => {
      const withKey = { before: [path.join(jail, 'probe'), 'with-key'] };
      const plain = exec(path.join(jail, 'probe'), [
        ...['with-key', INVOKE_NS, ...mountsAlone, '/probe', 'key'],
      ]);
      assert.match(plain.stdout, /^out: /);
      assert.match(inJail(['key'], { seccomp: 'off' }, withKey), /^held: .*not available/);
      assert.match(inJail(['key'], {}, withKey), /^held: .*Operation not permitted/);
    });

    test('system calls of other ABIs are denied', needsI386(), () => {
      compileFixture('probe', path.join(jail, 'probe32'), ['-m32']);
      assert.match(inJail(['x32'], { capabilities: ALL }), /^held: x32/);
      const ways = [
        ['mount', '/tmp/m'],
        ['fsopen'],
        ['unshare'],
        ['clone'],
        ['clone3'],
        ['module'],
      ];
      for (const way of [...ways, ['keyring'], ['setns', '/proc/self/ns/mnt']]) {
        const command = ['/probe32', ...way];
        assert.match(invoke([...hostProc, ...command]).stdout, /^out: /, way[0]);
        assert.match(runDirectly(jail, { capabilities: ALL }, command).stdout, /^held: /, way[0]);
      }
    });

    test("the launcher's file cannot be overwritten", () => {
      writeFileSync(path.join(jail, 'evil'), '#!/proc/self/exe /overwrite\n', { mode: 0o755 });
      writeFileSync(path.join(jail, 'overwrite'), '', { mode: 0o755 });
      compileFixture('overwrite', path.join(jail, 'overwrite'));
      const result = path.join(jail, 'result');
      /**
       * Returns whether the copy of the launcher was changed; with --sealed another copy runs in
       * the jail.
       */
      const changes = (args: readonly string[]): string => {
        const launcher = path.join(directory, 'launcher');
        copyFileSync(path.join(PROJECT, `dist/native/linux-${process.arch}/invoke_ns`), launcher);
        chmodSync(launcher, 0o755);
        const original = readFileSync(launcher);
        rmSync(result, { force: true });
        const { stderr } = exec(launcher, args);
        for (let tries = 0; tries < 3000; tries++) {
          const said = existsSync(result) ? readFileSync(result, 'utf8') : '';
          if (said !== '')
            return `${said.trim()}, ${original.equals(readFileSync(launcher)) ? 'unchanged' : 'changed'}`;
          exec('sleep', ['0.02']);
        }
        return `nothing: ${stderr}`;
      };
      assert.equal(changes([...hostProc, '/evil']), 'out: written, changed');
      assert.equal(changes(['--sealed', ...hostProc, '/evil']), 'held: sealed, unchanged');
    });

    test('a mount destination that links to the host stays inside', () => {
      const outside = path.join(directory, 'outside');
      mkdirSync(outside);
      symlinkSync(outside, path.join(jail, 'absolute'));
      symlinkSync('../../../../../../../..', path.join(jail, 'up'));
      symlinkSync(`../..${outside}`, path.join(jail, 'relative'));
      symlinkSync('/proc/1/root', path.join(jail, 'magic'));
      const source = path.join(directory, 'source');
      mkdirSync(source);
      writeFileSync(path.join(source, 'mark'), '');
      const targets = ['/absolute/new', `/up${outside}/new`, '/relative/new', '/absolute'];
      for (const target of targets) {
        for (const mount of [{ target }, { source, target, readOnly: false, devices: false }]) {
          const { stdout, stderr } = runDirectly(jail, { mounts: [mount] }, ['/probe', 'rights']);
          // It is either refused or inside.
          assert.match(stdout + stderr, /make in the jail|^out: user 0/, target);
        }
      }
      assert.deepEqual(exec('ls', ['-A', outside]).stdout, '');
      const magic = runDirectly(jail, { mounts: [{ target: '/magic/new' }] }, ['/probe', 'rights']);
      assert.match(magic.stderr, /invoke_ns: (open|make) in the jail/);
      // A link that stays inside is followed.
      mkdirSync(path.join(jail, 'real'));
      symlinkSync('/real', path.join(jail, 'inside'));
      const bind = { source, target: '/inside', readOnly: false, devices: false };
      assert.match(inJail(['open-read', '/real/mark'], { mounts: [bind] }), /^out: /);
      // Following it by name would have led outside.
      mkdirSync(path.join(jail, 'absolute', 'new'));
      assert.equal(exec('ls', ['-A', outside]).stdout, 'new\n');
    });
  },
);
