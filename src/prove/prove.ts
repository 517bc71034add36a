import type { ObservedCounts } from '../evidence/trace/report.js';
import type { Trace } from '../evidence/trace/trace.js';
import { realPathOf } from '../fs/path-bytes.js';
import { Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { runBuild } from '../jail/build/pipeline.js';
import { requireRecord } from '../jail/record/record.js';
import type { LaunchOptions } from '../launcher/options.js';
import { openSysroot } from '../plan/open-sysroot.js';
import { findRemedies, type Remedy, requestOfCures } from './cures.js';
import { type Lack, LackFinder } from './lacks.js';
import { type Kept, type Narrowed, narrow } from './narrow.js';
import { type Captured, observeJail } from './observe.js';
import type { ProofFailure } from './outcome.js';

/** The conditions for a run in a jail to succeed. */
export interface Expectation {
  /** The exit status; the default is 0. */
  readonly status?: number;
  /** A regular expression that standard output and standard error, combined, must match. */
  readonly output?: string;
  /** Seconds after which the command is killed and has failed. */
  readonly timeout?: number;
  /** Standard input; the default is that of this process. */
  readonly stdin?: string;
}

export interface ProofRun {
  /** The command's exit status, as `runJail` returns it. */
  readonly status: number;
  readonly passes: boolean;
  /** Only if the run does not pass. */
  readonly failure?: ProofFailure;
  /**
   * Standard output and standard error, combined; only if the expectation requires capturing them.
   */
  readonly output?: string;
  readonly lacks: readonly Lack[];
  readonly trace: Trace;
  readonly counts: ObservedCounts;
}

export interface ProveOptions {
  readonly launch: LaunchOptions;
  readonly mechanism?: 'ptrace' | 'notify';
  readonly linger?: number;
  readonly expect?: Expectation;
  /** Show the command's output even if it is captured. */
  readonly echo?: boolean;
}

/**
 * Runs a command in a jail as `run` does, observes it, and finds what it looked for that the jail
 * lacks and the host has.
 *
 * @param root absolute path of the jail
 * @param sysroot the root that the jail's files come from
 * @throws JailbuildError OBSERVER_MISSING, OBSERVATION_FAILED, LAUNCHER_MISSING
 */
export async function proveOnce(
  root: string,
  sysroot: string | undefined,
  command: readonly string[],
  { launch, mechanism, linger, expect = {}, echo }: ProveOptions,
): Promise<ProofRun> {
  const real = realPathOf(root);
  const finder = new LackFinder(
    real,
    (launch.mounts ?? []).flatMap((mount) => {
      const sources = 'source' in mount ? [mount.source] : 'lowers' in mount ? mount.lowers : [];
      return (sources ?? []).map((source) => ({ source, target: mount.target }));
    }),
  );
  const { output: pattern, stdin, timeout } = expect;
  const isCaptured = pattern !== undefined || stdin !== undefined || timeout !== undefined;
  const captured: Captured | undefined = isCaptured
    ? {
        ...(stdin === undefined ? {} : { stdin }),
        ...(timeout === undefined ? {} : { timeout }),
        ...(echo === undefined ? {} : { echo }),
        output: '',
        isTimedOut: false,
      }
    : undefined;
  const end = await observeJail(root, launch, command, {
    ...(mechanism === undefined ? {} : { mechanism }),
    ...(linger === undefined ? {} : { linger }),
    ...(captured === undefined ? {} : { captured }),
    onUse: (use) => finder.add(use),
  });
  const found = finder.finish(end.counts, new Sysroot(sysroot), new Sysroot(real));
  const failure = failureOf(end.status, captured, expect);
  return {
    status: end.status,
    passes: failure === undefined,
    ...(failure === undefined ? {} : { failure }),
    ...(captured === undefined ? {} : { output: captured.output }),
    lacks: found.lacks,
    trace: found.trace,
    counts: end.counts,
  };
}

function failureOf(
  status: number,
  captured: Captured | undefined,
  { status: expected = 0, output: pattern }: Expectation,
): ProofFailure | undefined {
  if (captured?.isTimedOut) return 'timeout';
  if (status !== expected) return 'status';
  const matches = pattern === undefined || new RegExp(pattern, 'm').test(captured?.output ?? '');
  return matches ? undefined : 'output';
}

/** A run, and cures for what it lacked. */
export interface ProofRound extends ProofRun {
  readonly remedies: readonly Remedy[];
  /** Cures added to the jail after the run. */
  readonly added: readonly Remedy[];
  /** The jail's size before and after removing what no run had used, for this run. */
  readonly narrowed?: Narrowed;
  /** Why nothing was removed; the round is otherwise that of the last run that succeeded. */
  readonly kept?: Kept<ProofRun> & { readonly remedies: readonly Remedy[] };
}

/** The maximum number of runs with further cures. */
const MAX_ROUNDS = 8;

/** How to handle what a run lacks. */
export interface AddOptions {
  /** Add it to the jail and run again. */
  readonly add?: boolean;
  /** Then remove what was added but not used, if the run still succeeds. */
  readonly least?: boolean;
  /** How the jail's sysroot is read if it is an image of a registry. */
  readonly registry?: RegistryAccess;
}

/**
 * Proves a jail by a run. With `add`, adds what it lacks to the jail and runs again, until the run
 * succeeds or nothing new is found.
 *
 * @param onRound called after each run, before anything is added
 * @throws JailbuildError RECORD_MISSING, and as `proveOnce` and `build`
 */
export async function proveJail(
  root: string,
  command: readonly string[],
  options: ProveOptions & AddOptions,
  onRound: (round: ProofRound, number: number) => void = () => {},
): Promise<readonly ProofRound[]> {
  const record = requireRecord(root);
  const before = { ...record, request: await openSysroot(record.request, options.registry) };
  const { sysroot } = before.request;
  const host = new Sysroot(sysroot);
  const rounds: ProofRound[] = [];
  const tried = new Set<string>();
  for (let number = 1; number <= MAX_ROUNDS; number++) {
    const run = await proveOnce(root, sysroot, command, options);
    const { packages = [] } = requireRecord(root).request;
    const remedies = await findRemedies(run.lacks, host, packages);
    const isOver = run.passes || options.add !== true;
    const added = isOver ? [] : remedies.filter(({ cure }) => isNew(cure, tried));
    const round = { ...run, remedies, added };
    rounds.push(round);
    onRound(round, number);
    if (added.length === 0) break;
    await addCures(root, added, number, options.registry);
  }
  const last = rounds.at(-1);
  if (options.least !== true || rounds.length < 2 || last?.passes !== true) return rounds;
  const { kept, ...narrowed } = await narrow(
    root,
    before,
    last,
    () => proveOnce(root, sysroot, command, options),
    options.registry,
  );
  const round = {
    ...narrowed,
    remedies: [],
    added: [],
    ...(kept === undefined
      ? {}
      : { kept: { ...kept, remedies: await findRemedies(kept.failed?.lacks ?? [], host, []) } }),
  };
  onRound(round, rounds.length + 1);
  return [...rounds, round];
}

function isNew(cure: Remedy['cure'], tried: Set<string>): boolean {
  const key = JSON.stringify(cure);
  if (cure.kind === 'secret' || tried.has(key)) return false;
  tried.add(key);
  return true;
}

/**
 * The depth of package dependencies added in each round. From the second round on, the packages of
 * the programs themselves are added too.
 */
const DEPTHS = [0, 1, 1, 'all'] as const;

async function addCures(
  root: string,
  remedies: readonly Remedy[],
  number: number,
  registry: RegistryAccess = {},
): Promise<void> {
  const request = requestOfCures(remedies.map(({ cure }) => cure));
  const packageDepends = DEPTHS[Math.min(number, DEPTHS.length) - 1] ?? 0;
  const later = number > 1 ? { withPackage: true } : {};
  const depends = packageDepends === 0 ? {} : { packageDepends };
  const origin = { kind: 'request', request: { ...request, ...later, ...depends } } as const;
  await runBuild({ origin, target: root, options: { noSync: true, registry } });
}
