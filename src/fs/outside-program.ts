import type { Readable } from 'node:stream';

/**
 * Returns execa for programs of the host, with a working directory that always exists: the caller's may be
 * closed to this user, or gone.
 */
export async function outsideProgram() {
  const { execa } = await import('execa');
  return execa({ cwd: '/' });
}

/** How a filter ended. */
export interface FilterEnd {
  readonly failed: boolean;
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** The system error if the program could not be started. */
  readonly cause: unknown;
}

/**
 * Passes a stream through a program of the host and yields its output. The program is killed if the
 * caller stops reading.
 *
 * @returns how the program ended; a failure is not thrown
 */
export async function* filterThrough(
  file: string,
  args: readonly string[],
  input: Readable,
  env: Readonly<Record<string, string | undefined>> = {},
): AsyncGenerator<Buffer, FilterEnd> {
  const run = await outsideProgram();
  const program = run(file, args, {
    input,
    encoding: 'buffer',
    buffer: { stdout: false, stderr: true },
    reject: false,
    env,
  });
  try {
    const output = program.iterable({ binary: true, preserveNewlines: true });
    for await (const part of output as AsyncIterable<Uint8Array>) {
      yield Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    }
    const { failed, exitCode, stderr, cause } = await program;
    return { failed, exitCode, stderr: Buffer.from(stderr).toString().trim(), cause };
  } finally {
    program.kill();
  }
}
