import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { before, describe, test } from 'node:test';
import { type ObservedUse, ReportReader } from '../../src/evidence/trace/report.js';
import { AS_NOBODY } from '../launcher/support.js';
import { exec } from '../support/cli.js';
import { needs, needsI386, needsRoot, needsThat } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';
import { compileUses, OBSERVER, observe, resultsOf } from './support.js';

/** errno(3) */
const [EPERM, ENOENT, EACCES, EFAULT, ENOSYS] = [1, 2, 13, 14, 38];

describe('the observer', needs('gcc'), () => {
  const directory = tempDir();
  const uses = path.join(directory, 'uses');
  const nobody = needsRoot('setpriv');

  before(() => compileUses(uses));

  test('cannot be taken over by observed programs', nobody, () => {
    for (const options of [[], ['--mechanism', 'notify']]) {
      const { stdout, reported } = observe([uses, 'attack'], { before: AS_NOBODY, options });
      assert.equal(
        stdout,
        `seize ${EPERM}\ndescriptors 0\nmemory ${EACCES}\nreport ${EACCES}\n`,
        options.join(' '),
      );
      assert.equal(reported, 0);
    }
  });

  test(
    'sees everything without privileges, and counts names in unreadable programs',
    nobody,
    () => {
      const seen = observe([uses, 'odd'], { before: AS_NOBODY });
      assert.deepEqual(resultsOf(seen, '/etc/edge'), ['access absent']);
      assert.equal(seen.counts.unread, 0);
      const hidden = observe([uses, 'undumpable'], { before: AS_NOBODY });
      assert.equal(hidden.counts.unread, 1);
      const closed = path.join(directory, 'execute-only');
      copyFileSync(uses, closed);
      chmodSync(closed, 0o111);
      const unreadable = observe([closed, 'access', '/etc/hidden-name'], { before: AS_NOBODY });
      assert.ok((unreadable.counts.unread ?? 0) > 0, JSON.stringify(unreadable.counts));
      // Root sees these as well.
      assert.deepEqual(resultsOf(observe([uses, 'undumpable']), '/etc/hidden-name'), [
        'access absent',
      ]);
    },
  );

  test(
    'keeps the privileges of set-user-ID programs for root, and reports them for others',
    nobody,
    () => {
      const setId = path.join(directory, 'set-id');
      copyFileSync(uses, setId);
      chmodSync(setId, 0o4755);
      const asRoot = observe(AS_NOBODY.concat(setId, 'euid'));
      assert.equal(asRoot.stdout, 'euid 0\n');
      const asNobody = observe([setId, 'euid'], { before: AS_NOBODY });
      assert.equal(asNobody.stdout, 'euid 54321\n');
      assert.deepEqual(resultsOf(asNobody, setId).slice(-1), ['set-id found']);
    },
  );

  test('reports a path that an unprivileged program may not access as denied', nobody, () => {
    const [closed, open] = [path.join(directory, 'closed'), path.join(directory, 'open')];
    mkdirSync(closed, { mode: 0o700 });
    writeFileSync(path.join(closed, 'inside'), '');
    writeFileSync(open, '', { mode: 0o600 });
    const script = `cat ${closed}/inside ${open} ${closed}/absent`;
    // The same process had access before it dropped privileges.
    const seen = observe([
      'sh',
      '-c',
      `head -c 1 ${open}; exec ${[...AS_NOBODY, script].join(' ')}`,
    ]);
    assert.deepEqual(resultsOf(seen, open), ['open found', 'open denied']);
    assert.deepEqual(resultsOf(seen, `${closed}/inside`), ['open denied']);
    assert.deepEqual(resultsOf(seen, `${closed}/absent`), ['open denied']);
  });

  test('sees names at the end of memory, unusual calls and calls by other numbers', () => {
    const seen = observe([uses, 'odd']);
    const lines = seen.stdout.split('\n');
    assert.ok(lines.includes(`edge ${ENOENT}`) && lines.includes(`fault ${EFAULT}`), seen.stdout);
    assert.ok(lines.includes(`io_uring ${ENOSYS}`), seen.stdout);
    // Strict mode is refused once a filter is installed.
    assert.ok(lines.includes('strict 22'), seen.stdout);
    assert.deepEqual(resultsOf(seen, '/etc/edge'), ['access absent']);
    if (lines.includes('handle 0')) {
      assert.deepEqual(resultsOf(seen, '/etc/hostname'), ['stat found', 'open found']);
    }
    if (process.arch === 'x64') {
      assert.ok(lines.includes(`x32 ${ENOSYS}`), seen.stdout);
      assert.deepEqual(resultsOf(seen, '/etc/int80'), ['access absent']);
    }
  });

  test('sees 32-bit programs', needsI386(), () => {
    const program = path.join(directory, 'uses32');
    compileUses(program, ['-m32', '-static']);
    const seen = observe([program, 'access', '/etc/from-32-bits']);
    assert.deepEqual(resultsOf(seen, '/etc/from-32-bits'), ['access absent']);
  });

  test('does not lose children', () => {
    const seen = observe([uses, 'untraced']);
    assert.equal(seen.stdout, 'child 0\n');
    assert.deepEqual(resultsOf(seen, '/etc/untraced-child'), ['access absent']);
    assert.equal(observe([uses, 'clone3']).stdout, `clone3 ${ENOSYS}\n`);
  });

  test('sees programs executed by descriptor, from threads and by name', () => {
    assert.deepEqual(resultsOf(observe([uses, 'execveat']), '/usr/bin/true'), [
      'stat found',
      'execute found',
    ]);
    assert.deepEqual(resultsOf(observe([uses, 'thread-exec']), '/usr/bin/true'), ['execute found']);
    const env = { ...process.env, PATH: '/nowhere:/usr/bin' };
    const byName = observe(['true'], { env });
    // The observer's own search on PATH is not part of the run.
    assert.deepEqual(resultsOf(byName, '/nowhere/true'), []);
    assert.deepEqual(resultsOf(byName, '/usr/bin/true'), ['execute found']);
    assert.equal(observe(['no-such-command']).status, 127);
    assert.equal(observe(['/etc/passwd']).status, 126);
  });

  test('survives names that change while it reads them; only the trace is affected', () => {
    const seen = observe([uses, 'race']);
    assert.equal(seen.stdout, 'over\n');
    const names = new Set(
      seen.uses.map(({ path: at }) => at).filter((at) => at.startsWith('/etc/')),
    );
    for (const name of names) assert.match(name, /^\/etc\/[px]asswd$/);
  });

  test('reports paths as seen from the original root after chroot', needsRoot(), () => {
    const root = path.join(directory, 'root');
    mkdirSync(root);
    writeFileSync(path.join(root, 'present'), '');
    const seen = observe([uses, 'root', root]);
    assert.equal(seen.stdout, `chroot 0\ninside ${ENOENT}\n`);
    assert.deepEqual(resultsOf(seen, '/usr/bin/true'), ['access found']);
    assert.deepEqual(resultsOf(seen, `${root}/usr/bin/true`), ['access absent']);
    assert.deepEqual(resultsOf(seen, `${root}/present`), ['access found']);
  });

  test('records the sockets named in messages', async (t) => {
    const sent = ['/etc/by-sendto', '/etc/by-sendmsg', '/etc/by-sendmmsg'];
    const seeAll = (program: string): void => {
      const seen = observe([program, 'send']);
      // ENOTCONN
      assert.equal(
        seen.stdout,
        `sendto ${ENOENT}\nsendmsg ${ENOENT}\nsendmmsg ${ENOENT}\nnone 107\n`,
      );
      for (const at of sent) assert.deepEqual(resultsOf(seen, at), ['connect absent'], at);
      assert.equal(seen.counts.unread, 0);
    };
    seeAll(uses);
    await t.test('of 32-bit programs are recorded as well', needsI386(), () => {
      const program = path.join(directory, 'send32');
      compileUses(program, ['-m32', '-static']);
      seeAll(program);
    });
  });

  test('distinguishes files that the run creates from existing ones', () => {
    const at = path.join(directory, 'made');
    mkdirSync(at);
    writeFileSync(path.join(at, 'old'), '');
    const seen = observe([uses, 'made', at]);
    assert.deepEqual(resultsOf(seen, `${at}/new`), ['write created', 'open found']);
    assert.deepEqual(resultsOf(seen, `${at}/old`), ['write found']);
    assert.deepEqual(resultsOf(seen, `${at}/dir`), ['make created']);
    assert.deepEqual(resultsOf(seen, `${at}/dir/in`), ['write created']);
  });

  test('does not affect signals', () => {
    assert.equal(observe([uses, 'interrupted']).stdout, 'interruptions 0\n');
    const died = observe([uses, 'die']);
    assert.deepEqual([died.status, died.reported], [139, 139]);
  });

  test('observes daemons for a limited time, and lets them run afterwards', async () => {
    const patient = observe([uses, 'daemon'], { options: ['--linger', '60000'] });
    assert.deepEqual(resultsOf(patient, '/etc/daemon-was-here'), ['access absent']);
    const [go, touched] = [path.join(directory, 'go'), path.join(directory, 'touched')];
    const script = `(for i in $(seq 3000); do [ ! -e ${go} ] || break; sleep 0.1; done; : > ${touched}) > /dev/null 2>&1 &`;
    const observer = spawn(OBSERVER, ['--report', '3', '--', '/bin/sh', '-c', script], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    const ended = once(observer, 'exit');
    const seen: ObservedUse[] = [];
    const reader = new ReportReader((use) => seen.push(use));
    // Ends although the process is still running.
    reader.take(await buffer(observer.stdio[3] as Readable));
    writeFileSync(go, '');
    assert.deepEqual(await ended, [0, null]);
    assert.ok(existsSync(touched), 'the process left running could not continue');
    assert.equal(reader.end()?.status, 0);
    assert.ok(!seen.some(({ path: at }) => at === touched));
  });

  test(
    'needs bounded memory for a flood of names, and accepts names with any bytes',
    needs('/usr/bin/time'),
    () => {
      const { stderr, uses: seen } = observe([uses, 'flood', '50000'], {
        before: ['/usr/bin/time', '-f', '%M'],
      });
      const names = seen.filter(({ path: at }) => at.startsWith('/etc/flood-'));
      assert.equal(names.length, 50_000);
      assert.ok(names.every(({ path: at }) => at.endsWith('\n')));
      const kilobytes = Number(/(\d+)\s*$/.exec(stderr)?.[1]);
      assert.ok(kilobytes > 0 && kilobytes < 64_000, stderr);
    },
  );

  test(
    'with ptrace breaks programs that trace others, with notify it does not',
    needs('strace'),
    () => {
      const command = ['strace', '-e', 'trace=exit_group', '/bin/true'];
      const failing = observe(command);
      assert.ok(failing.counts.tracers !== 0 && failing.status !== 0, failing.stderr);
      const working = observe(command, { options: ['--mechanism', 'notify'] });
      assert.equal(working.status, 0, working.stderr);
      assert.match(working.stderr, /exit_group\(0\)/);
      assert.ok(resultsOf(working, '/bin/true').includes('execute found'));
    },
  );

  test('refuses nested observers, and reports seccomp listeners', () => {
    const inner = [OBSERVER, '--report', '1', '--', '/bin/true'];
    const nested = observe(inner);
    assert.equal(nested.status, 125);
    assert.match(nested.stdout, /process \d+ already traces it/);
    const listening = observe([uses, 'listener']);
    assert.deepEqual([listening.stdout, listening.counts.listeners], ['listener 0\n', 1]);
  });

  test('sees the same files with both mechanisms', () => {
    const command = ['/bin/sh', '-c', 'cat /etc/hostname /etc/absent; ls /etc/ssl > /dev/null'];
    const paths = (options: string[]) => {
      const { uses: seen } = observe(command, { options });
      return [...new Set(seen.map(({ path: at, result }) => `${at} ${result}`))]
        .filter((at) => at.startsWith('/'))
        .sort();
    };
    assert.deepEqual(paths(['--mechanism', 'notify']), paths([]));
  });

  const several = needsThat('two processors', () => availableParallelism() > 1);
  describe('programs pinned to one processor', several, () => {
    for (const way of [
      'call',
      'status',
      'link',
      'thread',
      'child',
      'of-child',
      'choice',
      'program',
    ]) {
      test(`do not notice it by ${way}`, () => {
        const bare = exec(uses, ['processors', way]);
        assert.ok(bare.status === 0 && bare.stdout !== '', bare.stderr);
        assert.equal(observe([uses, 'processors', way]).stdout, bare.stdout);
      });
    }

    test('do not notice it by an inherited descriptor', () => {
      const before = ['sh', '-c', 'exec "$@" 9< /proc/self/status', 'sh'];
      const bare = exec('sh', [...before.slice(1), uses, 'processors', 'inherited']);
      assert.match(bare.stdout, /^Cpus_allowed_list:\s*0-/);
      const seen = observe([uses, 'processors', 'inherited'], { before });
      assert.equal(seen.stdout, bare.stdout);
    });

    /**
     * Observes a command that ends once all files of a directory exist; `look` receives the PID of
     * the observer.
     */
    async function watch(
      name: string,
      command: readonly string[],
      look: (observer: string, at: string) => Promise<void>,
    ): Promise<void> {
      const at = path.join(directory, name);
      mkdirSync(at);
      const child = spawn(OBSERVER, ['--report', '3', '--', ...command, at], {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      });
      child.stdio[3]?.on('data', () => undefined);
      const ended = once(child, 'exit');
      try {
        await look(String(child.pid), at);
        for (const file of ['enough', 'end']) writeFileSync(path.join(at, file), '');
        assert.deepEqual(await ended, [0, null]);
      } finally {
        // Observed processes end with the observer.
        child.kill('SIGKILL');
      }
    }

    test('are pinned only while they are busy', () =>
      watch('held', [uses, 'busy-and-idle'], async (observer, at) => {
        const isHeld = (): boolean => childrenOf(observer).some((id) => processorsOf(id) === 1);
        await until(isHeld, 'one is pinned');
        assert.equal(processorsOf(observer), 1, 'the observer runs elsewhere');
        writeFileSync(path.join(at, 'enough'), '');
        await until(() => !isHeld(), 'none is pinned');
        assert.equal(processorsOf(observer), processorsOf('self'));
      }));

    test('are pinned together with their waiting parents', () =>
      watch('family', ['sh', '-c', `${uses} busy-and-idle $0; true`], async (observer) => {
        await until(() => childrenOf(observer).length === 1, 'the shell runs');
        const [shell = ''] = childrenOf(observer);
        await until(() => processorsOf(shell) === 1, 'the shell is pinned');
        await until(
          () => childrenOf(shell).some((id) => processorsOf(id) === 1),
          'its child is pinned',
        );
      }));

    test('are not pinned while several have work to do', () =>
      watch(
        'crowd',
        ['sh', '-c', `${uses} busy-and-idle $0 & ${uses} busy-and-idle $0; wait`],
        async (observer) => {
          await until(() => processorsOf(observer) === 1, 'the observer is pinned');
          // Not only for a moment, in which few calls stop.
          let freeSince = Date.now();
          await until(() => {
            if (processorsOf(observer) === 1) freeSince = Date.now();
            return Date.now() - freeSince > 600;
          }, 'the observer is free');
          const [shell = ''] = childrenOf(observer);
          for (const id of [shell, ...childrenOf(shell)]) assert.ok(processorsOf(id) > 1, id);
        },
      ));
  });

  test('a command ends with its observer', async () => {
    const child = spawn(OBSERVER, ['--report', '3', '--', 'sleep', '600'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    const sleeper = await until(() => readFileSync(children, 'utf8').trim(), 'the command runs');
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await until(() => !isRunning(sleeper), 'the command has ended');
  });

  test('a stopped job continues and ends with its status', needs('script', 'bash'), () => {
    const [before, after] = [`${directory}/before-stop`, `${directory}/after-stop`];
    const script = [
      'set -m',
      `${OBSERVER} --report 3 -- bash -c '>${before}; kill -STOP $$; >${after}; exit 7' 3> ${directory}/stopped &`,
      `until test -e ${before}; do sleep 0.1; done; sleep 0.5; test -e ${after} || echo stopped`,
      // Repeated, since on a slow machine the command may only stop after a signal to continue.
      'while kill -CONT -- -$!; do pkill -CONT -P $! bash; sleep 0.1; done 2> /dev/null',
      'wait $!; echo status $?',
    ].join('\n');
    const { stdout } = exec('script', [
      '-qec',
      `bash -c '${script.replaceAll("'", "'\\''")}'`,
      '/dev/null',
    ]);
    assert.match(stdout, /stopped\r?\n(.*\n)*.*status 7/);
  });
});

function childrenOf(id: string): string[] {
  return readFileSync(`/proc/${id}/task/${id}/children`, 'utf8').match(/\d+/g) ?? [];
}

/** Returns on how many processors a process may run. */
function processorsOf(id: string): number {
  const status = readFileSync(`/proc/${id}/status`, 'utf8');
  const mask = /^Cpus_allowed:\s*([\da-f,]+)$/m.exec(status)?.[1] ?? '';
  return [...mask.replaceAll(',', '')]
    .flatMap((digit) => [...Number.parseInt(digit, 16).toString(2)])
    .filter((bit) => bit === '1').length;
}

function isRunning(id: string): boolean {
  return existsSync(`/proc/${id}`) && !/\) Z /.test(readFileSync(`/proc/${id}/stat`, 'utf8'));
}
