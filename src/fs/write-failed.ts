import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { writeAll } from './write-all.js';

/** Calls `writeAll` and converts its errors for the user. */
export async function writeTo(
  fd: number,
  chunks: readonly Uint8Array[],
  name: string,
  position?: number,
): Promise<number> {
  try {
    return await writeAll(fd, chunks, position);
  } catch (error) {
    throw writeFailed(name, error);
  }
}

/** Converts a system error into one for the user. */
export function writeFailed(name: string, error: unknown): unknown {
  if (errnoOf(error) === undefined) return error;
  return new JailbuildError('WRITE_FAILED', `${name}: ${strerror(error)}`, name);
}
