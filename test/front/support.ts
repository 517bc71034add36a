import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { type ExecOptions, exec, type Finished, JAILBUILD } from '../support/cli.js';
import { until } from '../support/process.js';

export const FRONT = path.join(path.dirname(JAILBUILD), `native/linux-${process.arch}/jailbuild`);

/** Options for tests of the native front, which needs a compiler. */
export const NEEDS_FRONT = { skip: existsSync(FRONT) ? false : 'needs the native front' };

/** Environment of the front and of a user: the Node that runs the tests is first on PATH. */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'))),
  PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
};

/**
 * Shell commands that replace the host's cache by an empty one, in a mount namespace of its own.
 */
export const OWN_CACHE = 'mount -t tmpfs -o mode=0755 tmpfs /var/cache && ';

/** A front whose starts of Node are counted, with caches and state of its own. */
export class CountingFront {
  readonly env: NodeJS.ProcessEnv;
  readonly #starts: string;

  constructor(directory: string) {
    this.#starts = `${directory}/starts`;
    mkdirSync(`${directory}/bin`);
    mkdirSync(`${directory}/cache`, { mode: 0o700 });
    writeFileSync(this.#starts, '');
    const script = `#!/bin/sh\nprintf x >> ${this.#starts}\nexec ${process.execPath} "$@"\n`;
    writeFileSync(`${directory}/bin/node`, script, { mode: 0o755 });
    this.env = {
      ...ENVIRONMENT,
      PATH: `${directory}/bin:${ENVIRONMENT.PATH}`,
      XDG_CACHE_HOME: `${directory}/cache`,
      XDG_STATE_HOME: `${directory}/state`,
    };
  }

  get started(): number {
    return readFileSync(this.#starts, 'utf8').length;
  }

  /** Runs a command, and counts how often it starts Node. */
  run(words: readonly string[], options: ExecOptions = {}): Finished & { readonly starts: number } {
    const begun = this.started;
    const finished = exec(FRONT, words, { env: this.env, ...options });
    return { ...finished, starts: this.started - begun };
  }
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running front. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Its output on standard error so far. */
  said(): string;
}

/** @param wrapper a command that is given the front's command line */
export function startFront(
  args: readonly string[],
  options: SpawnOptions = {},
  wrapper: readonly string[] = [],
): Running {
  const [file = FRONT, ...words] = [...wrapper, FRONT, ...args];
  const child = spawn(file, words, {
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, pid: child.pid ?? -1, ended, said: () => stderr };
}

/** A front that strace(1) has stopped at a system call. */
export interface Stopped extends Running {
  readonly front: number;
  /** Lets it continue to its end. */
  finish(): Promise<Ended>;
}

/**
 * Stops a front after a call of a kind.
 *
 * @param trace a file for the output of strace(1)
 * @param when the number of the call in its thread
 */
export async function stopFrontAt(
  t: TestContext,
  call: string,
  words: readonly string[],
  {
    env,
    trace,
    when = 1,
  }: { readonly env: NodeJS.ProcessEnv; readonly trace: string; readonly when?: number },
): Promise<Stopped> {
  const running = startFront(words, { env }, [
    ...['strace', '-f', '-o', trace, '-e', `trace=${call}`],
    ...['-e', `inject=${call}:signal=SIGSTOP:when=${when}`],
  ]);
  let hasEnded = false;
  void running.ended.then(() => {
    hasEnded = true;
  });
  await until(
    () => existsSync(trace) && readFileSync(trace, 'utf8').includes('stopped by SIGSTOP'),
    'the build is stopped',
  );
  const [front] = childrenOf(running.pid);
  assert.ok(front !== undefined);
  t.after(() => {
    if (!hasEnded) process.kill(front, 'SIGKILL');
  });
  const finish = async () => {
    // Each thread stops.
    await until(() => {
      if (!hasEnded) tryTo(() => process.kill(front, 'SIGCONT'));
      return hasEnded;
    }, 'the build ends');
    return running.ended;
  };
  return { ...running, front, finish };
}

function tryTo(action: () => void): void {
  try {
    action();
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
  }
}

/** Returns the children of a process. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Returns a process's state as one letter (proc_pid_stat(5)), or undefined if it is gone. */
export function stateOf(pid: number): string | undefined {
  try {
    return /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/** Returns the name of the program that a process runs. */
export function nameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
