import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { JailbuildError } from '../errors.js';
import { type ObservedEnd, type ObservedUse, ReportReader } from '../evidence/trace/report.js';
import { ownEnvironment, ownVariable } from '../fs/own-environment.js';
import { locateLauncher, locateObserver } from '../launcher/locate.js';
import { environmentOf, type LaunchOptions, launcherArguments } from '../launcher/options.js';
import { SignalPassing } from '../launcher/pass-signals.js';
import { withRunFiles } from '../launcher/run-files.js';
import { withOwnTmp } from '../launcher/tmp.js';
import { passWords } from '../launcher/words.js';

/** The file descriptor of the observer's report. */
const REPORT = 3;
/** The first file descriptor from which the observer reads a command or an environment that is not text. */
const WORDS = 4;

/** A command's input, output and limits. */
export interface Captured {
  readonly stdin?: string;
  /** In seconds. */
  readonly timeout?: number;
  /** Whether to show the output as well. */
  readonly echo?: boolean;
  output: string;
  isTimedOut: boolean;
}

/** How long to wait for output after the end of a command, in milliseconds. */
const LAST_OUTPUT = 2000;
/** The status of a command that timed out, as for timeout(1). */
const TIMED_OUT = 124;
/** The maximum output kept of a command, in characters. */
const MAX_OUTPUT = 16 << 20;

export interface ObserveOptions {
  /**
   * How system calls are observed; docs/trace.md describes the limits of each. The default is
   * `ptrace`.
   */
  readonly mechanism?: 'ptrace' | 'notify';
  /** How long to observe processes that outlive the command, in milliseconds. */
  readonly linger?: number;
  /** Report the numbers of all system calls as well. */
  readonly allCalls?: boolean;
  /**
   * Captures the command's output and provides its input, instead of using this process's streams.
   */
  readonly captured?: Captured;
  /** Called for each use of a file, once for each program, in order. */
  readonly onUse: (use: ObservedUse) => void;
}

/**
 * Runs a command on the host, on this process's standard streams, and observes it and its
 * descendants.
 *
 * @throws JailbuildError OBSERVER_MISSING, OBSERVATION_FAILED
 */
export async function observeCommand(
  command: readonly string[],
  options: ObserveOptions,
): Promise<ObservedEnd> {
  return observe(observerArguments(options), command, options, { env: ownEnvironment() });
}

/**
 * Runs a command in a jail as `runJail` does, and observes it and its descendants, not the
 * launcher.
 *
 * @param root absolute path of the jail
 * @param command if empty, a shell
 * @throws JailbuildError OBSERVER_MISSING, OBSERVATION_FAILED, LAUNCHER_MISSING
 */
export async function observeJail(
  root: string,
  launch: LaunchOptions,
  command: readonly string[],
  options: ObserveOptions,
): Promise<ObservedEnd> {
  return withRunFiles(withOwnTmp(root, launch), (whole) => {
    const launcher = [
      locateLauncher(),
      '--observed',
      '--die-with-parent',
      ...launcherArguments(root, whole, command, 'names'),
    ];
    return observe([...observerArguments(options), '--launcher'], launcher, options, {
      env: environmentOf(whole, ownVariable('TERM')),
      cwd: '/',
    });
  });
}

function observerArguments({ mechanism, linger, allCalls }: ObserveOptions): string[] {
  return [
    ...['--report', String(REPORT)],
    ...(mechanism === undefined ? [] : ['--mechanism', mechanism]),
    ...(linger === undefined ? [] : ['--linger', String(linger)]),
    ...(allCalls ? ['--all-calls'] : []),
  ];
}

async function observe(
  options: readonly string[],
  command: readonly string[],
  { onUse, captured }: ObserveOptions,
  where: { readonly env: Readonly<Record<string, string>>; readonly cwd?: string },
): Promise<ObservedEnd> {
  const signals = new SignalPassing();
  signals.start();
  try {
    const passed = passWords(command, where.env, '--words', WORDS);
    const args = [...options, ...passed.options, '--', ...passed.words];
    const started = execa(locateObserver(), args, {
      stdio: [
        ...(captured === undefined ? INHERITED : streamsOf(captured)),
        'pipe',
        ...passed.stdio,
      ],
      buffer: false,
      reject: false,
      // The observer must outlive this process unless this process is killed.
      cleanup: false,
      extendEnv: false,
      ...where,
      env: passed.env,
    });
    signals.to(started);
    const timer = captured === undefined ? undefined : capture(started, captured);
    const reader = new ReportReader(onUse);
    for await (const chunk of started.stdio[REPORT] as unknown as Readable) {
      reader.take(chunk as Buffer);
    }
    clearTimeout(timer);
    const failure = reader.failure();
    if (failure !== undefined) {
      throw new JailbuildError('OBSERVATION_FAILED', `the command cannot be observed: ${failure}`);
    }
    const end = reader.end();
    // The last output may still be in the pipe.
    if (captured !== undefined) await Promise.race([started, sleep(LAST_OUTPUT)]);
    if (captured?.isTimedOut)
      return { status: TIMED_OUT, hasStarted: true, counts: reader.counts() };
    if (end !== undefined) {
      // The observer keeps serving processes that outlive the command, but reports nothing more.
      started.unref();
      return end;
    }
    const result = await started;
    throw new JailbuildError(
      'OBSERVATION_FAILED',
      result.exitCode === undefined
        ? `the observer ended before the command (${result.signal ?? result.originalMessage}): there is no trace`
        : 'the command could not be observed: the line above names the reason',
    );
  } finally {
    signals.stop();
  }
}

const INHERITED = ['inherit', 'inherit', 'inherit'] as const;

function streamsOf({ stdin }: Captured) {
  return [stdin === undefined ? 'inherit' : 'pipe', 'pipe', 'pipe'] as const;
}

/**
 * Feeds and drains the streams of a command.
 *
 * @returns the timer that kills it
 */
function capture(
  started: Pick<ChildProcess, 'stdin' | 'stdout' | 'stderr' | 'kill'>,
  captured: Captured,
): NodeJS.Timeout | undefined {
  started.stdin?.on('error', () => {});
  if (captured.stdin !== undefined) started.stdin?.end(captured.stdin);
  for (const [stream, own] of [
    [started.stdout, process.stdout],
    [started.stderr, process.stderr],
  ] as const) {
    stream?.on('data', (chunk: Buffer) => {
      if (captured.output.length < MAX_OUTPUT) captured.output += chunk.toString('utf8');
      if (captured.echo) own.write(chunk);
    });
  }
  if (captured.timeout === undefined) return undefined;
  return setTimeout(() => {
    captured.isTimedOut = true;
    started.kill('SIGKILL');
  }, captured.timeout * 1000);
}
