import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { execa } from 'execa';
import { JailbuildError } from '../errors.js';
import { outsideProgram } from '../fs/outside-program.js';
import { ownVariable } from '../fs/own-environment.js';
import { LAUNCHER_PROCESS, locateLauncher } from './locate.js';
import { descriptorsOf, environmentOf, type LaunchOptions, launcherArguments } from './options.js';
import type { Helper, OutgoingNetwork } from './outgoing-network.js';
import { SignalPassing } from './pass-signals.js';
import { needsRunFiles, withRunFiles } from './run-files.js';
import { passWords } from './words.js';

/** What accompanies a run. */
export interface RunExtras {
  /** Network that a helper provides for the jail. */
  readonly network?: OutgoingNetwork;
  /** Receives the overlay's content at the end, for `overlayChanges`. */
  readonly onChanges?: (records: Buffer) => void;
}

/**
 * Runs a command in a jail on this process's standard streams and waits for it.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 * @returns the command's exit status, or 128 plus the number of the signal that ended it
 * @throws JailbuildError USAGE, LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function runJail(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  extras: RunExtras = {},
): Promise<number> {
  const pipes = new Pipes(options, extras);
  return withRunFiles(withExtras(options, extras, pipes), (whole) =>
    start(root, whole, command, extras, pipes),
  );
}

type PipeName = 'info' | 'block' | 'resolver' | 'changes';

/** Descriptors between this process and the launcher, above those that a run uses. */
class Pipes {
  /** Descriptors of this process that the launcher inherits. */
  readonly inherited: readonly number[];
  readonly #own: number;
  readonly #names: readonly PipeName[];

  constructor(options: LaunchOptions, { network, onChanges }: RunExtras) {
    this.inherited = descriptorsOf(options);
    this.#own = Math.max(2, ...this.inherited) + 1;
    this.#names = [
      ...(network === undefined ? [] : (['info', 'block', 'resolver'] as const)),
      ...(onChanges === undefined ? [] : (['changes'] as const)),
    ];
  }

  fd(name: PipeName): number {
    return this.#own + this.#names.indexOf(name);
  }

  /** Returns the lowest descriptor above all of these. */
  get next(): number {
    return this.#own + this.#names.length;
  }

  /** Returns the stdio settings after the standard streams. */
  stdio(): ('inherit' | 'ignore' | 'pipe')[] {
    return [
      ...Array.from({ length: this.#own - 3 }, (_, index) =>
        this.inherited.includes(index + 3) ? ('inherit' as const) : ('ignore' as const),
      ),
      ...this.#names.map(() => 'pipe' as const),
    ];
  }
}

/** Returns the options of a run with what its extras add. */
export function withExtras(
  options: LaunchOptions,
  extras: RunExtras,
  pipes = new Pipes(options, extras),
): LaunchOptions {
  const { network, onChanges } = extras;
  const whole =
    onChanges === undefined ? options : { ...options, overlayChangesFd: pipes.fd('changes') };
  if (network === undefined) return whole;
  const target = '/etc/resolv.conf';
  return {
    ...whole,
    supervision: {
      ...options.supervision,
      infoFd: pipes.fd('info'),
      blockFd: pipes.fd('block'),
    },
    mounts: [
      ...(options.mounts ?? []),
      { option: '--bind-data', value: `${pipes.fd('resolver')}:${target}:mode=0644,ro`, target },
    ],
  };
}

async function start(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  { network, onChanges }: RunExtras,
  pipes: Pipes,
): Promise<number> {
  const signals = new SignalPassing();
  signals.start();
  const outgoing = network === undefined ? undefined : await import('./outgoing-network.js');
  const environment = environmentOf(options, ownVariable('TERM'));
  const words = [
    // If this process ends in any way, nothing would forward signals or report the command's end.
    '--die-with-parent',
    ...(options.dieWithParent ? ['--die-with', String(process.ppid)] : []),
    ...launcherArguments(root, options, command, 'names'),
  ];
  let helper: Helper | undefined;
  try {
    const passed = passWords(words, environment, '--args', pipes.next);
    const started = execa(locateLauncher(), [...passed.options, ...passed.words], {
      stdio: [...(['inherit', 'inherit', 'inherit'] as const), ...pipes.stdio(), ...passed.stdio],
      ...LAUNCHER_PROCESS,
      buffer: false,
      env: passed.env,
    });
    signals.to(started);
    const streams = started.stdio as unknown as (Duplex | undefined)[];
    const changes = onChanges === undefined ? undefined : wholeOf(streams[pipes.fd('changes')]);
    if (network !== undefined && outgoing !== undefined) {
      const [block, resolver] = [streams[pipes.fd('block')], streams[pipes.fd('resolver')]];
      // The launcher may end before it reads.
      for (const stream of [block, resolver]) stream?.on('error', () => {});
      resolver?.end(outgoing.resolverText(network));
      const pid = await childOf(streams[pipes.fd('info')]);
      try {
        const isGone = () =>
          started.exitCode !== null || started.signalCode !== null || signals.ending !== undefined;
        if (pid !== undefined) helper = await outgoing.startHelper(network, pid, isGone);
      } catch (error) {
        started.kill('SIGKILL');
        await started;
        throw error;
      }
      // The command has not started, and the launcher waits as well.
      if (signals.ending !== undefined) {
        started.kill('SIGKILL');
        await started;
        return 128 + constants.signals[signals.ending];
      }
      block?.end('\n');
    }
    const status = statusOf(await started);
    // A failed launcher sends no records.
    const records = await changes;
    if (records !== undefined && records.length > 0) onChanges?.(records);
    return status;
  } finally {
    await helper?.stop();
    signals.stop();
  }
}

/**
 * Runs the launcher on this process's standard streams and waits for it.
 *
 * @param env environment of the launcher, whose options may name variables in it
 * @returns its exit status, or 128 plus the number of the signal that ended it
 * @throws JailbuildError LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function startLauncher(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const signals = new SignalPassing();
  signals.start();
  try {
    const passed = passWords(words, env, '--args', 3);
    const started = execa(locateLauncher(), [...passed.options, ...passed.words], {
      stdio: ['inherit', 'inherit', 'inherit', ...passed.stdio],
      ...LAUNCHER_PROCESS,
      env: passed.env,
    });
    signals.to(started);
    return statusOf(await started);
  } finally {
    signals.stop();
  }
}

function statusOf(result: {
  readonly exitCode?: number | undefined;
  readonly signal?: NodeJS.Signals | undefined;
  readonly originalMessage?: string | undefined;
}): number {
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.signal !== undefined) return 128 + constants.signals[result.signal];
  throw new JailbuildError(
    'LAUNCHER_FAILED',
    `the launcher did not start: ${result.originalMessage}`,
  );
}

async function wholeOf(stream: Duplex | undefined): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream ?? []) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Returns the jail's first process as reported by the launcher; undefined if the launcher failed. */
export async function childOf(info: Duplex | undefined): Promise<number | undefined> {
  let text = '';
  for await (const part of info ?? []) {
    text += String(part);
    if (text.includes('\n')) break;
  }
  return text === '' ? undefined : (JSON.parse(text) as { 'child-pid': number })['child-pid'];
}

/**
 * Returns the launcher's command line for a run, quoted for a shell.
 *
 * @throws JailbuildError USAGE for a run that needs temporary files
 */
export function printCommand(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): string {
  if (needsRunFiles(options))
    throw new JailbuildError(
      'USAGE',
      '--print-command cannot be combined with --landlock or a seccomp profile in JSON, whose files exist only while `run` runs: start the jail by `jailbuild run` itself',
    );
  return [locateLauncher(), ...launcherArguments(root, options, command)].map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Returns the names of the system calls that the launcher's default filter denies. */
export async function deniedSystemCalls(): Promise<readonly string[]> {
  const run = await outsideProgram();
  const { stdout } = await run(locateLauncher(), ['--list-denied']);
  return stdout.split('\n');
}
