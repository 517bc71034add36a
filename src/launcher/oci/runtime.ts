import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { execa } from 'execa';
import { JailbuildError } from '../../errors.js';
import { LAUNCHER_PROCESS, locateLauncher } from '../locate.js';
import { childOf, startLauncher } from '../run.js';
import {
  checkConfig,
  containerArguments,
  environment,
  processArguments,
  ROOT,
} from './arguments.js';
import { makeCgroups, processesIn, removeCgroups } from './cgroup.js';
import {
  awaitEnd,
  type Container,
  directoryOf,
  loadContainer,
  makeDirectory,
  release,
  runHooks,
  saveContainer,
  startFifo,
  startOf,
  stateOf,
  statusOf,
} from './container.js';
import { readConfig, readProcess } from './read-config.js';
import { compileProfile } from './seccomp.js';
import type { OciConfig, OciProcess } from './spec.js';

export interface CreateOptions {
  /** Directory for container state. */
  readonly state: string;
  readonly bundle: string;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly preserveFds: number;
}

function configOf(bundle: string): OciConfig {
  return readConfig(path.join(bundle, 'config.json'));
}

/**
 * Creates a container whose process waits to be started. The launcher leaves it running; the subreaper that adopts
 * orphans here, such as conmon or containerd's shim, receives its exit status.
 *
 * @throws JailbuildError USAGE for unsupported configuration, LAUNCHER_FAILED
 */
export async function createContainer(id: string, options: CreateOptions): Promise<void> {
  const config = configOf(options.bundle);
  checkConfig(config);
  const directory = await makeDirectory(options.state, id);
  let cgroups: readonly string[] = [];
  try {
    cgroups = makeCgroups(id, config.linux ?? {});
    const filter = config.linux?.seccomp === undefined ? undefined : path.join(directory, 'filter');
    if (filter !== undefined && config.linux?.seccomp !== undefined)
      await compileProfile(config.linux.seccomp, filter);
    const pid = await launch(config, options, directory, cgroups, filter);
    const container: Container = {
      ...{ id, bundle: options.bundle, pid, start: startOf(pid), cgroups },
      created: new Date().toISOString(),
      ociVersion: config.ociVersion,
      annotations: config.annotations ?? {},
    };
    await saveContainer(directory, container);
    try {
      // Run while the process waits, as specified.
      for (const kind of ['prestart', 'createRuntime'])
        await runHooks(config, kind, stateOf(options.state, container));
      // Hooks may have brought it.
      await refuseMissingCommand(container, config.process as OciProcess);
    } catch (error) {
      process.kill(pid, 'SIGKILL');
      throw error;
    }
    if (options.pidFile !== undefined) await writeFile(options.pidFile, String(pid));
  } catch (error) {
    await removeCgroups(cgroups);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function launch(
  config: OciConfig,
  { bundle, consoleSocket, preserveFds }: CreateOptions,
  directory: string,
  cgroups: readonly string[],
  filter: string | undefined,
): Promise<number> {
  const spec = config.process as OciProcess;
  const info = 3 + preserveFds;
  const args = [
    ...containerArguments(config, bundle, cgroups),
    ...processArguments(spec, filter),
    ...['--detach', '--info-fd', String(info), '--block-fd', startFifo(directory)],
    ...(spec.terminal && consoleSocket !== undefined ? ['--console-socket', consoleSocket] : []),
    ...(preserveFds > 0 ? ['--preserve-fds', String(preserveFds)] : []),
    ...['--', ...(spec.args ?? [])],
  ];
  if (spec.terminal && consoleSocket === undefined)
    throw new JailbuildError('USAGE', 'a container with a terminal requires --console-socket');
  const started = execa(locateLauncher(), args, {
    stdio: [
      ...(['inherit', 'inherit', 'inherit'] as const),
      ...Array.from({ length: preserveFds }, () => 'inherit' as const),
      'pipe',
    ],
    ...LAUNCHER_PROCESS,
    buffer: false,
    env: environment(spec),
  });
  const pid = await childOf((started.stdio as unknown as (Duplex | undefined)[])[info]);
  const { exitCode } = await started;
  if (pid === undefined || exitCode !== 0)
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      'the container could not be created: see the message of the launcher',
    );
  return pid;
}

/**
 * Refuses a process whose command is missing in the container or may not be executed by its user, as runc does when it
 * creates a container. Other reasons why a command does not start are found when it is executed.
 *
 * @throws JailbuildError LAUNCHER_FAILED
 */
async function refuseMissingCommand(
  { pid, start }: Pick<Container, 'pid' | 'start'>,
  spec: OciProcess,
): Promise<void> {
  const args = [
    ...['--join', `${pid}:${start}`, '--look-up'],
    ...processArguments({ ...spec, terminal: false }, undefined),
    ...['--', ...(spec.args ?? [])],
  ];
  const { exitCode } = await execa(locateLauncher(), args, {
    ...LAUNCHER_PROCESS,
    stdio: 'ignore',
    env: environment(spec),
  });
  const [command = ''] = spec.args ?? [];
  // Engines match the wording, and exit with 127 or 126.
  if (exitCode === 127)
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      `${command}: executable file not found in the container`,
    );
  if (exitCode === 126)
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      `${command}: permission denied: the user of the container cannot execute it`,
    );
}

/** @throws JailbuildError USAGE if it is not in state created */
export async function startContainer(state: string, id: string): Promise<void> {
  const container = loadContainer(state, id);
  await release(state, container);
  await runHooks(configOf(container.bundle), 'poststart', stateOf(state, container));
}

/** @param all whether to signal its other processes too, which requires its cgroup */
export function killContainer(
  state: string,
  id: string,
  signal: NodeJS.Signals | number,
  all: boolean,
): void {
  const container = loadContainer(state, id);
  if (statusOf(state, container) === 'stopped') {
    if (!all) throw new JailbuildError('USAGE', `${id}: container not running`);
  } else {
    process.kill(container.pid, signal);
  }
  if (!all) return;
  for (const pid of processesIn(container.cgroups)) {
    try {
      if (pid !== container.pid) process.kill(pid, signal);
    } catch {
      // The process has ended.
    }
  }
}

/** @throws JailbuildError USAGE if it is running, unless `force` is set */
export async function deleteContainer(state: string, id: string, force: boolean): Promise<void> {
  let container: Container;
  try {
    container = loadContainer(state, id);
  } catch (error) {
    if (!force) throw error;
    await rm(directoryOf(state, id), { recursive: true, force: true });
    return;
  }
  const status = statusOf(state, container);
  if (status === 'running' && !force)
    throw new JailbuildError('USAGE', `${id}: cannot delete a container that is running`);
  if (status !== 'stopped') process.kill(container.pid, 'SIGKILL');
  await awaitEnd(state, container, 10_000);
  for (const pid of processesIn(container.cgroups)) process.kill(pid, 'SIGKILL');
  await removeCgroups(container.cgroups);
  const stopped = stateOf(state, container);
  await rm(directoryOf(state, id), { recursive: true, force: true });
  try {
    await runHooks(configOf(container.bundle), 'poststop', stopped);
  } catch (error) {
    // The container is gone whether or not its hooks fail.
    if (!(error instanceof JailbuildError)) throw error;
  }
}

export interface ExecOptions {
  readonly state: string;
  /** File with the process, in the format of config.json. */
  readonly processFile?: string;
  readonly detach: boolean;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly tty: boolean;
  readonly cwd?: string;
  readonly env: readonly string[];
  readonly user?: string;
}

/**
 * Runs a further process in a container.
 *
 * @returns the exit status of the process; 0 if it is left running
 */
export async function execInContainer(
  id: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const container = loadContainer(options.state, id);
  const status = statusOf(options.state, container);
  if (status === 'stopped') throw new JailbuildError('USAGE', `${id}: container not running`);
  const config = configOf(container.bundle);
  const spec = execProcess(config.process as OciProcess, command, options);
  const filter = path.join(directoryOf(options.state, id), 'filter');
  const args = [
    ...['--sealed', '--join', `${container.pid}:${container.start}`],
    ...processArguments(spec, config.linux?.seccomp === undefined ? undefined : filter),
    ...(spec.terminal && options.consoleSocket ? ['--console-socket', options.consoleSocket] : []),
  ];
  const words = ['--', ...(spec.args ?? [])];
  if (!options.detach)
    return startLauncher(['--die-with-parent', ...args, ...words], environment(spec));
  await refuseMissingCommand(container, spec);
  const started = execa(locateLauncher(), [...args, '--detach', '--info-fd', '3', ...words], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    ...LAUNCHER_PROCESS,
    buffer: false,
    env: environment(spec),
  });
  const pid = await childOf((started.stdio as unknown as (Duplex | undefined)[])[3]);
  const { exitCode } = await started;
  if (pid === undefined || exitCode !== 0)
    throw new JailbuildError('LAUNCHER_FAILED', `${id}: the process could not be started`);
  if (options.pidFile !== undefined) await writeFile(options.pidFile, String(pid));
  return 0;
}

/** Reads the process from a file, or combines the container's process with another command. */
function execProcess(
  own: OciProcess,
  command: readonly string[],
  { processFile, tty, cwd, env, user }: ExecOptions,
): OciProcess {
  if (processFile !== undefined) return readProcess(processFile);
  const its = own.user ?? ROOT;
  const [uid, gid = uid] = (user ?? `${its.uid}:${its.gid}`).split(':').map(Number);
  return {
    ...own,
    args: command,
    terminal: tty,
    user: { ...its, uid: uid ?? 0, gid: gid ?? 0 },
    ...(cwd === undefined ? {} : { cwd }),
    env: [...(own.env ?? []), ...env],
  };
}
