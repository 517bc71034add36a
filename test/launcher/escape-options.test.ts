import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { landlockFile } from '../../src/launcher/landlock.js';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { Cleanup } from '../support/cleanup.js';
import { exec, INVOKE_NS, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
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
      for (let tries = 0; tries < 200 && (!inner(outer) || !inner(pids)); tries++)
        await new Promise((resolve) => setTimeout(resolve, 20));
    });

    const inner = (process: ChildProcess | undefined): string | undefined => {
      const file = `/proc/${process?.pid}/task/${process?.pid}/children`;
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
    const assertHeld = (output: string, except: readonly string[] = []): void => {
      const lines = output.trim().split('\n');
      assert.equal(lines.length, plainWays().length, output);
      for (const [index, { name }] of plainWays().entries())
        if (!except.includes(name)) assert.match(lines[index] ?? '', /^held: /, name);
    };

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
        }
      });
    }

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
      const { stdout } = exec('bash', [
        '-c',
        `"$0" --root "$1" create -b "$2" c > "$3" 2>&1 < /dev/null && "$0" --root "$1" start c
        for i in $(seq 50); do "$0" --root "$1" state c | grep -q running || break; sleep 0.1; done
        "$0" --root "$1" delete -f c; cat "$3"`,
        ...[RUNTIME, at('state'), bundle, at('output')],
      ]);
      // Here it is the command itself: a container has no separate init.
      assertHeld(stdout, ['a trace of the first process', 'memory of the first process']);
    });
  },
);
