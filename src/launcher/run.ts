import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { execa } from 'execa';
import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import { locateLauncher } from './locate.js';
import { descriptorsOf, environmentOf, type LaunchOptions, launcherArguments } from './options.js';
import type { Helper, OutgoingNetwork } from './outgoing-network.js';
import { SignalPassing } from './pass-signals.js';
import { needsRunFiles, withRunFiles } from './run-files.js';

/**
 * Runs a command in a jail, on our own standard streams, to its end.
 *
 * @param root absolute path of the jail
 * @param command without words, a shell
 * @param network made for the jail by a helper
 * @returns the command's exit status, or 128 and the number of the signal that ended it
 * @throws JailbuildError USAGE, LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function runJail(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  network?: OutgoingNetwork,
): Promise<number> {
  const descriptors = descriptorsOf(options);
  const own = Math.max(2, ...descriptors) + 1;
  const launched = network === undefined ? options : withNetwork(options, own);
  return withRunFiles(launched, (whole) =>
    start(root, whole, command, { network, descriptors, own }),
  );
}

/** Descriptors by which we make the network of a jail, from the first on that a run does not use. */
function networkDescriptors(own: number): Readonly<Record<'info' | 'block' | 'resolver', number>> {
  return { info: own, block: own + 1, resolver: own + 2 };
}

function withNetwork(options: LaunchOptions, own: number): LaunchOptions {
  const { info, block, resolver } = networkDescriptors(own);
  const target = '/etc/resolv.conf';
  return {
    ...options,
    supervision: { ...options.supervision, infoFd: info, blockFd: block },
    mounts: [
      ...(options.mounts ?? []),
      { option: '--bind-data', value: `${resolver}:${target}:ro`, target },
    ],
  };
}

async function start(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
  {
    network,
    descriptors,
    own,
  }: {
    readonly network: OutgoingNetwork | undefined;
    readonly descriptors: readonly number[];
    readonly own: number;
  },
): Promise<number> {
  const signals = new SignalPassing();
  signals.start();
  const outgoing = network === undefined ? undefined : await import('./outgoing-network.js');
  const { info, block, resolver } = networkDescriptors(own);
  const environment = environmentOf(options, process.env.TERM);
  // Node makes text of all arguments and variables: other bytes go by a pipe.
  const given = own + (network === undefined ? 0 : 3);
  const isText = [root, ...launcherArguments(root, options, command)].every((word) =>
    word.isWellFormed(),
  );
  const args = [
    // However we end: nobody would be there to pass on signals, or to learn what becomes of the command.
    '--die-with-parent',
    ...(options.dieWithParent ? ['--die-with', String(process.ppid)] : []),
    ...launcherArguments(root, options, command, isText ? 'names' : 'values'),
  ];
  let helper: Helper | undefined;
  try {
    const started = execa(locateLauncher(), isText ? args : ['--args', String(given)], {
      stdio: [
        ...(['inherit', 'inherit', 'inherit'] as const),
        ...Array.from({ length: own - 3 }, (_, index) =>
          descriptors.includes(index + 3) ? ('inherit' as const) : ('ignore' as const),
        ),
        ...(outgoing === undefined ? [] : (['pipe', 'pipe', 'pipe'] as const)),
        ...(isText ? [] : [Buffer.concat(args.map((arg) => pathBuffer(`${arg}\0`)))]),
      ],
      buffer: false,
      reject: false,
      env: isText ? environment : {},
      extendEnv: false,
      // The present directory may be one that only its user may enter, and is of no use there.
      cwd: '/',
      // We must not end first, other than by being killed.
      cleanup: false,
    });
    signals.to(started);
    if (network !== undefined && outgoing !== undefined) {
      const pipes = started.stdio as unknown as (Duplex | undefined)[];
      // The launcher may have ended before it reads.
      for (const fd of [block, resolver]) pipes[fd]?.on('error', () => {});
      pipes[resolver]?.end(outgoing.resolverText(network));
      const pid = await childOf(pipes[info]);
      try {
        if (pid !== undefined) helper = await outgoing.startHelper(network, pid);
      } catch (error) {
        started.kill('SIGKILL');
        await started;
        throw error;
      }
      pipes[block]?.end('\n');
    }
    return statusOf(await started);
  } finally {
    await helper?.stop();
    signals.stop();
  }
}

/**
 * Runs the launcher on our own standard streams, to its end.
 *
 * @param env of the launcher, which its options name variables of
 * @returns its exit status, or 128 and the number of the signal that ended it
 * @throws JailbuildError LAUNCHER_MISSING, LAUNCHER_FAILED
 */
export async function startLauncher(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const signals = new SignalPassing();
  signals.start();
  try {
    const started = execa(locateLauncher(), args, {
      stdio: 'inherit',
      reject: false,
      env,
      extendEnv: false,
      cwd: '/',
      cleanup: false,
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

/** The first process of the jail, from what the launcher says; nothing if it failed. */
export async function childOf(info: Duplex | undefined): Promise<number | undefined> {
  let text = '';
  for await (const part of info ?? []) {
    text += String(part);
    if (text.includes('\n')) break;
  }
  return text === '' ? undefined : (JSON.parse(text) as { 'child-pid': number })['child-pid'];
}

/**
 * The launcher's command line for a run, as a shell takes it.
 *
 * @throws JailbuildError USAGE for a run with files of its own
 */
export function printCommand(
  root: string,
  options: LaunchOptions,
  command: readonly string[],
): string {
  if (needsRunFiles(options))
    throw new JailbuildError(
      'USAGE',
      '--print-command cannot be combined with --landlock or a seccomp profile in JSON: their files exist during a run only',
    );
  return [locateLauncher(), ...launcherArguments(root, options, command)].map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The system calls that the launcher's default filter denies, by their names. */
export async function deniedSystemCalls(): Promise<readonly string[]> {
  const { stdout } = await execa(locateLauncher(), ['--list-denied']);
  return stdout.split('\n');
}
