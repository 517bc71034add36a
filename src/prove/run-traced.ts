import { TraceCollector } from '../evidence/trace/collect.js';
import type { ObservedCounts, ObservedUse } from '../evidence/trace/report.js';
import type { CallCollector } from '../evidence/trace/seccomp-profile.js';
import type { Trace } from '../evidence/trace/trace.js';
import { ownVariable } from '../fs/own-environment.js';
import { realPathOf } from '../fs/path-bytes.js';
import type { LaunchOptions } from '../launcher/options.js';
import { observeCommand, observeJail } from './observe.js';

export interface TraceOptions {
  /** The jail or root file system to run the command in; the default is the host. */
  readonly root?: string;
  /** How the command is launched there. */
  readonly launch?: LaunchOptions;
  readonly mechanism?: 'ptrace' | 'notify';
  /** Collects the system calls made; observing them stops the process at each call. */
  readonly calls?: CallCollector;
  /** How long to observe processes that outlive the command, in milliseconds. */
  readonly linger?: number;
}

export interface TracedRun {
  /** The command's exit status, as `runJail` returns it. */
  readonly status: number;
  /** False if the command could not be executed. */
  readonly hasStarted: boolean;
  readonly trace: Trace;
  readonly counts: ObservedCounts;
  /** Set-user-ID and set-group-ID programs that ran without the privileges of their owner. */
  readonly unprivileged: readonly string[];
}

/**
 * Runs a command on this process's standard streams and traces the files that it uses.
 *
 * @throws JailbuildError OBSERVER_MISSING, OBSERVATION_FAILED, LAUNCHER_MISSING
 */
export async function runTraced(
  command: readonly string[],
  { root, launch, mechanism = 'ptrace', linger = 0, calls }: TraceOptions,
): Promise<TracedRun> {
  const collector = new TraceCollector(root === undefined ? '/' : realPathOf(root));
  const unprivileged: string[] = [];
  const options = {
    mechanism,
    linger,
    allCalls: calls !== undefined,
    onUse: (use: ObservedUse) => {
      if (use.use === 'syscall') calls?.add(use.result, Number(use.path));
      else if (use.use === 'set-id') unprivileged.push(use.program);
      else collector.add(use);
    },
  };
  const end =
    root === undefined
      ? await observeCommand(command, options)
      : await observeJail(root, launch ?? {}, command, options);
  const home = root === undefined ? ownVariable('HOME') : launch?.env?.HOME;
  const trace = collector.finish(end.counts, home);
  return {
    status: end.status,
    hasStarted: end.hasStarted,
    trace,
    counts: end.counts,
    unprivileged,
  };
}
