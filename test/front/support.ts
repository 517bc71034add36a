import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PROJECT } from '../support/cli.js';

export const FRONT = path.join(PROJECT, `dist/native/linux-${process.arch}/jailbuild`);

/** Options for a test of the native front, which a compiler is needed for. */
export const NEEDS_FRONT = { skip: existsSync(FRONT) ? false : 'needs the native front' };

/** What a process of the front, and so a user of it, sees: the Node that runs the tests comes first. */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'))),
  PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
};

/** A shell's words that put an empty cache in the place of the host's, in a mount namespace of its own. */
export const OWN_CACHE = 'mount -t tmpfs -o mode=0755 tmpfs /var/cache && ';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A front at work. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it has said on standard error so far. */
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

/** Waits until something is so. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let count = 0; !isSo(); count++) {
    if (count > 1000) throw new Error(`not within ten seconds: ${what}`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
}

/** The processes that a process has started. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** A process's state by one letter (proc_pid_stat(5)), or undefined if it is gone. */
export function stateOf(pid: number): string | undefined {
  try {
    return /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/** The name of the program that a process runs. */
export function nameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
