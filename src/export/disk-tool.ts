import { errnoOf, errnoText, JailbuildError } from '../errors.js';
import { outsideProgram } from '../fs/outside-program.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import type { WorkMeter } from '../manifest/work.js';
import { ProgramInput } from './program-input.js';

/** A program that makes file systems. */
export interface DiskTool {
  readonly program: string;
  /** The package that contains it, by its most common name. */
  readonly package: string;
}

/** The context of writing a file system. */
export interface DiskRun {
  /** Aborts the run. */
  readonly signal: AbortSignal | undefined;
  /** Passes chunks on and reports their number. */
  readonly watch: (chunks: Iterable<Buffer>) => Iterable<Buffer>;
  /** Counts packed files and bytes. */
  readonly meter: WorkMeter;
}

export interface ToolRun {
  /** Standard input; empty without it. */
  readonly input?: Iterable<Buffer>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** Exit statuses that are not errors. */
  readonly accept?: readonly number[];
}

export interface ToolOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Debian installs some of these programs in directories that are not on the PATH of users. */
const SYSTEM_DIRECTORIES = STANDARD_PATH.filter((name) => name.endsWith('/sbin')).join(':');

/**
 * Runs a program that makes or reads file systems, in the C locale and without variables that
 * would change its output.
 *
 * @param args with absolute paths
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED
 * @throws errors of `input`, and the reason of the signal
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
      PATH: `${process.env.PATH ?? STANDARD_PATH.join(':')}:${SYSTEM_DIRECTORIES}`,
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

/** Returns the error for a program that is not installed. */
export function missingTool({ program, package: name }: DiskTool): JailbuildError {
  const message = `${program}: not found: install the package ${name}`;
  return new JailbuildError('TOOL_MISSING', message, program);
}

/** Joins the last lines of a program's output. */
function lastLines(text: string): string {
  const lines = text.split(/[\n\r]/).map((line) => line.trim());
  return (
    lines
      .filter((line) => line !== '')
      .slice(-3)
      .join('; ') || 'it printed no reason'
  );
}
