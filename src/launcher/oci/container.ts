import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { execa } from 'execa';
import { JailbuildError, strerror } from '../../errors.js';
import { outsideProgram } from '../../fs/outside-program.js';
import { ownVariable } from '../../fs/own-environment.js';
import { type ProcessStat, processStat } from '../process-stat.js';
import type { OciConfig } from './spec.js';

/** State of a container kept between calls of the runtime. */
export interface Container {
  readonly id: string;
  readonly bundle: string;
  /** The first process and its start time (proc_pid_stat(5), field 22). */
  readonly pid: number;
  readonly start: string;
  readonly created: string;
  readonly ociVersion: string;
  readonly cgroups: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

export type Status = 'created' | 'running' | 'stopped';

/** Returns the directory for container state: root's or the user's. */
export function defaultStateDirectory(): string {
  const own = ownVariable('XDG_RUNTIME_DIR');
  return process.geteuid?.() !== 0 && own ? `${own}/jailbuild/oci` : '/run/jailbuild/oci';
}

/**
 * Returns the directory of a container by its name, restricted as by runc; runtime-spec has no rule.
 *
 * @throws JailbuildError USAGE
 */
export function directoryOf(state: string, id: string): string {
  if (!/^[A-Za-z0-9_][\w+.-]*$/.test(id) || id.length > 1024)
    throw new JailbuildError('USAGE', `${id}: is not a valid container name`);
  // The state of a container is JSON, which the launcher and hooks read as well.
  if (!state.isWellFormed())
    throw new JailbuildError(
      'USAGE',
      `${state}: is not UTF-8: name another directory for containers with --root`,
    );
  return path.join(state, id);
}

/** Returns the fifo through which a created container is started. */
export function startFifo(directory: string): string {
  return path.join(directory, 'start');
}

/** @throws JailbuildError USAGE if it already exists, WRITE_FAILED */
export async function makeDirectory(state: string, id: string): Promise<string> {
  const directory = directoryOf(state, id);
  try {
    await mkdir(state, { recursive: true, mode: 0o700 });
    await mkdir(directory, { mode: 0o700 });
    await chmod(directory, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new JailbuildError('USAGE', `${id}: a container of this name already exists`);
    throw new JailbuildError('WRITE_FAILED', `${directory}: ${strerror(error)}`, directory);
  }
  const run = await outsideProgram();
  await run('mkfifo', ['-m', '600', startFifo(directory)]);
  return directory;
}

export async function saveContainer(directory: string, container: Container): Promise<void> {
  await writeFile(path.join(directory, 'state.json'), JSON.stringify(container), { mode: 0o600 });
}

/** @throws JailbuildError USAGE if it does not exist */
export function loadContainer(state: string, id: string): Container {
  const file = path.join(directoryOf(state, id), 'state.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Container;
  } catch {
    // Engines match this wording.
    throw new JailbuildError('USAGE', `${id}: container does not exist`);
  }
}

export async function listContainers(state: string): Promise<readonly Container[]> {
  const names = await readdir(state).catch(() => []);
  return names.flatMap((name) => {
    try {
      return [loadContainer(state, name)];
    } catch {
      return [];
    }
  });
}

/** Returns the state of a process; undefined if it is gone. */
function processOf(pid: number): ProcessStat | undefined {
  try {
    return processStat(pid);
  } catch {
    return undefined;
  }
}

/** Returns the start time of a process; '' if it is gone. */
export function startOf(pid: number): string {
  return processOf(pid)?.start ?? '';
}

export function statusOf(state: string, container: Container): Status {
  const found = processOf(container.pid);
  const isThere = found?.start === container.start && !/[ZX]/.test(found.letter);
  if (!isThere) return 'stopped';
  return existsSync(startFifo(directoryOf(state, container.id))) ? 'created' : 'running';
}

/** Returns the state as specified (runtime.md, State). */
export function stateOf(state: string, container: Container): Readonly<Record<string, unknown>> {
  const status = statusOf(state, container);
  return {
    ociVersion: container.ociVersion,
    id: container.id,
    status,
    ...(status === 'stopped' ? { pid: 0 } : { pid: container.pid }),
    bundle: container.bundle,
    annotations: container.annotations,
    created: container.created,
  };
}

/** Lets a created container continue. */
export async function release(state: string, container: Container): Promise<void> {
  const fifo = startFifo(directoryOf(state, container.id));
  const status = statusOf(state, container);
  if (status !== 'created')
    throw new JailbuildError(
      'USAGE',
      `${container.id}: cannot start a container that is ${status}`,
    );
  // Opened for both reading and writing, so that open(2) does not wait for the other end.
  const file = await open(fifo, 'r+');
  await file.write('\n');
  await rm(fifo);
  await file.close();
}

export async function awaitEnd(
  state: string,
  container: Container,
  milliseconds: number,
): Promise<void> {
  for (
    let waited = 0;
    statusOf(state, container) !== 'stopped' && waited < milliseconds;
    waited += 10
  )
    await wait(10);
}

/** Runs hooks of one kind, with the container's state on standard input (config.md, POSIX-platform Hooks). */
export async function runHooks(
  config: OciConfig,
  kind: string,
  state: Readonly<Record<string, unknown>>,
): Promise<void> {
  for (const { path: file, args, env, timeout } of config.hooks?.[kind] ?? []) {
    const { exitCode, stderr, shortMessage } = await execa(file, args?.slice(1) ?? [], {
      ...(args?.[0] === undefined ? {} : { argv0: args[0] }),
      input: JSON.stringify(state),
      env: Object.fromEntries(
        (env ?? []).map((text) => [text.split('=', 1)[0], text.slice(text.indexOf('=') + 1)]),
      ),
      extendEnv: false,
      reject: false,
      ...(timeout === undefined ? {} : { timeout: timeout * 1000 }),
    });
    if (exitCode !== 0)
      throw new JailbuildError(
        'LAUNCHER_FAILED',
        `hook ${kind} ${file}: ${stderr || shortMessage}`,
      );
  }
}
