import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { landlockFile } from '../../src/launcher/landlock.js';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { runningJails } from '../../src/launcher/running.js';
import { Cleanup } from '../support/cleanup.js';
import { exec, INVOKE_NS, JAILBUILD, jailbuild, PROJECT } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { compileFixture } from './support.js';
import { waysOut } from './ways-out.js';

const RUNTIME = path.join(path.dirname(JAILBUILD), 'jailbuild-runtime');

/** Tries the same ways with options that add, join or start something in a jail. */
describe(
  'escapes through options of a jail',
  needsRoot('gcc', 'sleep', 'unshare', 'mknod', 'slirp4netns', 'mkfifo', 'busybox'),
  () => {
    const cleanup = new Cleanup();
    const directory = tempDir();
    const at = (name: string): string => path.join(directory, name);
    const [jail, data, lower] = [at('jail'), at('data'), at('lower')];
    const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
    let outer: ChildProcess | undefined;
    let pids: ChildProcess | undefined;
    cleanup.add(() => sleeper.kill('SIGKILL'));
    for (const each of [() => outer, () => pids]) cleanup.add(() => each()?.kill('SIGKILL'));

    before(async () => {
      for (const name of ['proc', 'dev', 'tmp', '.jailbuild'])
        mkdirSync(path.join(jail, name), { recursive: true });
      for (const name of [data, lower]) mkdirSync(name);
      writeFileSync(at('canary'), '');
      writeFileSync(at('text'), 'of a descriptor\n');
      writeFileSync(path.join(lower, 'file'), '');
      copyFileSync('/usr/bin/busybox', path.join(jail, 'busybox'));
      compileFixture('probe', path.join(jail, 'probe'));
      assert.equal(exec('mknod', ['-m', '666', path.join(jail, 'zero'), 'c', '1', '5']).status, 0);
      chmodSync(path.join(jail, 'tmp'), 0o1777);
      const rules = [['rx', '/probe'] as const, ['rw', '/zero'] as const, ['l', '/'] as const];
      const more = [
        ['rlwm', '/tmp'] as const,
        ['rlwm', '/dev'] as const,
        ['rlw', '/proc'] as const,
      ];
      writeFileSync(
        at('rules'),
        landlockFile([...rules, ...more].map(([rights, name]) => ({ rights, path: name }))),
      );
      // Namespaces to join.
      // A PID namespace in another user namespace cannot be the parent of one in this user
      // namespace.
      outer = spawn(
        'unshare',
        ['-Uni', '--map-root-user', '--fork', '--kill-child', 'sleep', '600'],
        {
          stdio: 'ignore',
        },
      );
      pids = spawn('unshare', ['-p', '--fork', '--kill-child', 'sleep', '600'], {
        stdio: 'ignore',
      });
      await until(() => inner(outer) && inner(pids), 'both run');
    });

    const inner = (process: ChildProcess | undefined): string | undefined => {
      if (process === undefined) return undefined;
      const file = `/proc/${process.pid}/task/${process.pid}/children`;
      return readFileSync(file, 'utf8').trim().split(' ')[0] || undefined;
    };

    /** Ways to run, each with the launcher's arguments for a probe. */
    type Run = (probe: readonly string[], launch: LaunchOptions) => string;
    const launched =
      (more: () => LaunchOptions, descriptors = ''): Run =>
      (probe, launch) => {
        const words = launcherArguments(jail, { ...more(), ...launch }, ['/probe', ...probe]);
        const script = `exec "$@" ${descriptors}`;
        const { stdout, stderr } = exec('bash', ['-c', script, 'bash', INVOKE_NS, ...words]);
        return stdout + stderr;
      };
    const placed = (option: string, value: string, target = '/made') => ({ option, value, target });
    /** All ways that need no option of their own, one after the other in one shell. */
    const plainWays = () =>
      Object.entries(waysOut(jail, at('canary'), sleeper.pid))
        .map(([name, make]) => ({ name, ...make() }))
        .filter(({ run }) => run === undefined);
    const script = (): string =>
      plainWays()
        .map(({ probe }) => `/probe ${probe.map((word) => `'${word}'`).join(' ')} 2>&1; :`)
        .join('\n');
    let held = 0;
    const assertHeld = (output: string, except: readonly string[] = []): void => {
      const lines = output.trim().split('\n');
      assert.equal(lines.length, plainWays().length, output);
      for (const [index, { name }] of plainWays().entries()) {
        if (except.includes(name)) continue;
        assert.match(lines[index] ?? '', /^held: /, name);
        held++;
      }
    };
    after(() => console.log(`${held} probes held`));

    const runs: Readonly<Record<string, Run>> = {
      landlock: launched(() => ({ landlock: { file: at('rules') } })),
      'kept overlay': launched(() => ({ overlay: data })),
      'overlay over a directory': launched(() => ({
        mounts: [placed('--overlay-mount', `${lower}:/made`)],
      })),
      descriptors: launched(
        () => ({
          mounts: [
            placed('--bind-fd', '7:/data', '/data'),
            placed('--bind-data', '8:/text:ro', '/text'),
            placed('--file', '9:/file', '/file'),
          ],
          fds: [6],
          listenFds: 1,
        }),
        `3< ${at('text')} 6< ${at('text')} 7< ${data} 8< ${at('text')} 9< ${at('text')}`,
      ),
      'message queues, links and modes': launched(() => ({
        mounts: [
          placed('--dir', '/made'),
          placed('--mqueue', '/made/queues'),
          placed('--symlink', '/proc/1/root:/made/link'),
          placed('--chmod', '4777:/made'),
        ],
      })),
      'joined namespaces': launched(() => ({
        joined: Object.fromEntries(
          (['user', 'net', 'ipc'] as const).map((type) => [
            type,
            `/proc/${inner(outer)}/ns/${type}`,
          ]),
        ),
      })),
      'joined PID namespace': launched(() => ({ joined: { pid: `/proc/${inner(pids)}/ns/pid` } })),
      'every one of these': launched(
        () => ({
          overlay: 'tmpfs',
          landlock: { file: at('rules') },
          isolateNetwork: true,
          joined: { pid: `/proc/${inner(pids)}/ns/pid` },
          mounts: [
            placed('--bind-fd', '7:/tmp/data', '/tmp/data'),
            placed('--overlay-mount', `${lower}:/tmp/over`, '/tmp/over'),
            placed('--mqueue', '/tmp/queues', '/tmp/queues'),
          ],
        }),
        `7< ${data}`,
      ),
    };

    test('each of them runs a command', () => {
      for (const [name, run] of Object.entries(runs)) {
        assert.match(run(['open-read', '/dev/zero'], {}), /^out: /, name);
      }
    });

    for (const [name, make] of Object.entries(waysOut(jail, at('canary'), sleeper.pid))) {
      test(name, () => {
        const { probe, run = {} } = make();
        for (const [how, start] of Object.entries(runs)) {
          assert.match(start(probe, run), /^held: /, how);
          held++;
        }
      });
    }

    /** Options of run for each row of the table in docs/launcher.md, and the descriptors that they need. */
    const sets = (): Readonly<Record<string, readonly [words: string, descriptors?: string]>> => ({
      namespaces: [
        '--network none --userns root --ipc host --cgroupns host --unshare-try cgroup --disable-userns --hostname x',
      ],
      'no user namespaces': ['--userns root --assert-userns-disabled'],
      'a joined user namespace': [`--userns /proc/${inner(outer)}/ns/user`],
      'a joined PID namespace': [`--pidns /proc/${inner(pids)}/ns/pid`],
      users: ['--user 1000:1000 --uidmap 0:200000:65536 --gidmap 0:200000:65536'],
      'mounts of the host': [
        `--read-only --bind ${data}:/tmp/a --bind-try ${data}:/tmp/b --dev-bind ${data}:/tmp/c
        --dev-bind-try ${data}:/tmp/d --ro-bind ${data}:/tmp/e --ro-bind-try ${data}:/tmp/f`,
      ],
      'what descriptors hold': [
        `--bind-fd 7:/tmp/g --ro-bind-fd 7:/tmp/h --bind-data 8:/tmp/i:4755 --ro-bind-data 8:/tmp/j:2644
        --file 9:/tmp/file/parent/k:600 --fd 6 --preserve-fds 2`,
        `3< ${at('text')} 4< ${at('text')} 6< ${at('text')} 7< ${data} 8< ${at('text')} 9< ${at('text')}`,
      ],
      'what is made': [
        `--tmpfs /tmp/t:size=1m,mode=700 --mqueue /tmp/q --dir /tmp/dir/parent/d:700 --dir /tmp/set:4777
        --symlink /proc/1/root:/tmp/link --symlink /proc/self/fd:/tmp/fds --chmod 6777:/tmp/set`,
      ],
      overlays: [
        `--overlay tmpfs --mount type=overlay,src=${lower},src=${data},dst=/tmp/a
        --mount type=overlay,src=${lower},dst=/tmp/b,ro`,
      ],
      supervision: [
        `--info-fd 5 --json-status-fd 6 --block-fd 7 --sync-fd 8 --lock-file /probe --die-with-parent --new-session`,
        '5> /dev/null 6> /dev/null 7< /dev/null 8> /dev/null',
      ],
      'the command': [
        `--args ${at('arguments')} --chdir /tmp --argv0 busybox --env A=b --env-file ${at('variables')}`,
      ],
      'its rights': [`--cap-drop ALL --cap-add chown --seccomp default --seccomp default`],
      'no init': ['--no-init'],
      'no /proc and no /dev': ['--proc none --no-dev --workdir /tmp'],
      'a published port': ['--network outgoing --publish 127.0.0.1:49876:80'],
    });
    /** What the first process is without an init of the launcher: the command itself. */
    const FIRST = ['a trace of the first process', 'memory of the first process'];
    const EXCEPT: Readonly<Record<string, readonly string[]>> = {
      'no init': FIRST,
      // That is what --no-dev is for.
      'no /proc and no /dev': ['a device that is in the jail already'],
    };
    /** Options that no set has: one needs a security module of the kernel, the others run nothing. */
    const LEFT_OUT = ['--exec-label', '--help', '--version'];

    before(() => {
      writeFileSync(at('arguments'), ['--umask', '077', ''].join('\0'));
      writeFileSync(at('variables'), 'B=c\n');
    });

    for (const name of Object.keys(sets())) {
      test(`hold with ${name}`, () => {
        const [words, descriptors = ''] = sets()[name] ?? [''];
        const run = `exec "$0" "$1" run "$2" ${words.replaceAll('\n', ' ')} -- /busybox sh -c "$3" ${descriptors}`;
        const arguments_ = [process.execPath, JAILBUILD, jail, script()];
        const { stdout, stderr } = exec('bash', ['-c', run, ...arguments_]);
        assertHeld(stdout + stderr, EXCEPT[name]);
      });
    }

    test('these sets have every option of the table', () => {
      const text = readFileSync(path.join(PROJECT, 'docs/launcher.md'), 'utf8');
      const table =
        text.slice(text.indexOf('## Compared with bubblewrap')).split('\n## ', 2)[0] ?? '';
      const rows = table.split('\n').filter((line) => line.startsWith('| `'));
      const optionsOf = (cell = ''): readonly string[] => cell.match(/--[a-z0-9-]+/g) ?? [];
      const named = rows.flatMap((row) => {
        const [, theirs, ours = ''] = row.split(/(?<!\\)\|/);
        return [...optionsOf(ours), ...(/the same/.test(ours) ? optionsOf(theirs) : [])];
      });
      const tried = new Set(Object.values(sets()).flatMap(([words]) => words.split(/\s+/)));
      assert.ok(named.length > 40);
      assert.deepEqual(
        named.filter((name) => !tried.has(name) && !LEFT_OUT.includes(name)),
        [],
      );
    });

    test('hold for a command that enters a jail', async () => {
      const words = ['run', jail, '--', '/busybox', 'sleep', '600'];
      const child = spawn(process.execPath, [JAILBUILD, ...words], { stdio: 'ignore' });
      cleanup.add(() => child.kill('SIGKILL'));
      const isThere = (): boolean => runningJails(0).some(({ root }) => root === jail);
      await until(isThere, 'the jail runs');
      const { stdout, stderr } = jailbuild(['exec', jail, '--', '/busybox', 'sh', '-c', script()]);
      assertHeld(stdout + stderr);
      child.kill('SIGTERM');
    });

    test('hold with an outgoing network', () => {
      const words = ['run', jail, '--network', 'slirp4netns', '--overlay', 'tmpfs'];
      const { stdout, stderr } = jailbuild([...words, '--', '/busybox', 'sh', '-c', script()]);
      assertHeld(stdout + stderr);
    });

    test('hold in a container of the OCI runtime', () => {
      const bundle = at('bundle');
      const command = ['/busybox', 'sh', '-c', script()];
      const made = jailbuild(['run', jail, '--oci-bundle', bundle, '--', ...command]);
      assert.equal(made.status, 0, made.stderr);
      const file = path.join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      const device = { path: '/dev/kit', type: 'c', major: 1, minor: 3, fileMode: 0o6666 };
      const owners = [0, 1000].map((uid) => ({ ...device, path: `/dev/kit${uid}`, uid, gid: uid }));
      config.linux.devices = [...(config.linux.devices ?? []), ...owners];
      writeFileSync(file, JSON.stringify(config));
      const { stdout } = exec('bash', [
        '-c',
        `"$0" --root "$1" create -b "$2" c > "$3" 2>&1 < /dev/null && "$0" --root "$1" start c
        for i in $(seq 1200); do "$0" --root "$1" state c | grep -q running || break; sleep 0.1; done
        "$0" --root "$1" delete -f c; cat "$3"`,
        ...[RUNTIME, at('state'), bundle, at('output')],
      ]);
      // Here it is the command itself: a container has no separate init.
      assertHeld(stdout, FIRST);
    });
  },
);
