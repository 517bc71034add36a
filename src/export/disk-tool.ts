import { errnoOf, errnoText, JailbuildError } from '../errors.js';
import { outsideProgram } from '../fs/outside-program.js';
import type { WorkMeter } from '../manifest/work.js';
import { ProgramInput } from './program-input.js';

/** A program that makes file systems. */
export interface DiskTool {
  readonly program: string;
  /** The package that has it, where distributions agree on its name. */
  readonly package: string;
}

/** What accompanies the making of a file system. */
export interface DiskRun {
  /** Ends it. */
  readonly signal: AbortSignal | undefined;
  /** Passes chunks on, and tells their number. */
  readonly watch: (chunks: Iterable<Buffer>) => Iterable<Buffer>;
  /** Counts what is packed. */
  readonly meter: WorkMeter;
}

export interface ToolRun {
  /** What standard input gets. */
  readonly input?: Iterable<Buffer>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** Statuses that the caller tells apart by itself. */
  readonly accept?: readonly number[];
}

export interface ToolOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Debian has these programs where users' PATH does not lead. */
const SYSTEM_DIRECTORIES = '/usr/sbin:/sbin';

/**
 * Runs a program that makes or reads file systems, in the C locale and without a setting of the
 * environment that would change what it writes.
 *
 * @param args with absolute paths
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED
 * @throws what `input` throws, and the signal's reason
 */
export async function runTool(
  tool: DiskTool,
  args: readonly string[],
  { input, env = {}, signal, accept = [0] }: ToolRun = {},
): Promise<ToolOutput> {
  const run = await outsideProgram();
  const fed = input === undefined ? undefined : new ProgramInput(input);
  const result = await run(tool.program, args, {
    ...(fed === undefined ? { stdin: 'ignore' as const } : { input: fed.stream }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
    env: {
      PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:${SYSTEM_DIRECTORIES}`,
      LC_ALL: 'C.UTF-8',
      SOURCE_DATE_EPOCH: undefined,
      E2FSPROGS_FAKE_TIME: undefined,
      ...env,
    },
    reject: false,
    stripFinalNewline: false,
  });
  if (fed?.error !== undefined) throw fed.error;
  signal?.throwIfAborted();
  if (errnoOf(result.cause) === 'ENOENT') throw missingTool(tool);
  const { exitCode, stdout, stderr, signalDescription } = result;
  if (exitCode === undefined && signalDescription === undefined) {
    const reason = errnoText(errnoOf(result.cause) ?? 'ENOENT');
    throw new JailbuildError('WRITE_FAILED', `${tool.program}: cannot be started: ${reason}`);
  }
  if (exitCode !== undefined && accept.includes(exitCode)) {
    return { status: exitCode, stdout, stderr };
  }
  const how = signalDescription === undefined ? `status ${exitCode}` : signalDescription;
  const why = lastLines(stderr === '' ? stdout : stderr);
  throw new JailbuildError('WRITE_FAILED', `${tool.program}: ended with ${how}: ${why}`);
}

/** An error for a program that is not there. */
export function missingTool({ program, package: name }: DiskTool): JailbuildError {
  const message = `${program}: not found: install the package ${name}`;
  return new JailbuildError('TOOL_MISSING', message, program);
}

/** What a program said last, on one line. */
function lastLines(text: string): string {
  const lines = text.split(/[\n\r]/).map((line) => line.trim());
  return (
    lines
      .filter((line) => line !== '')
      .slice(-3)
      .join('; ') || 'it did not say why'
  );
}
