import { JailbuildError } from '../errors.js';

/** How layers and archives are compressed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** A compression with an optional level. */
export interface CompressionChoice {
  readonly kind: Compression;
  /** The level; default: 4 for gzip, 3 for zstd. */
  readonly level?: number;
}

/** The minimum, maximum and default level of each format. */
const LEVELS = { gzip: [1, 9, 4], zstd: [1, 19, 3] } as const;

/** Returns the level of a compression that has levels. */
export function levelOf(kind: keyof typeof LEVELS, level: number | undefined): number {
  return level ?? LEVELS[kind][2];
}

/** @throws JailbuildError USAGE */
export function checkCompression({ kind, level }: CompressionChoice): void {
  if (level === undefined) return;
  if (kind === 'none') {
    throw new JailbuildError('USAGE', 'a compression level requires gzip or zstd');
  }
  const [least, most] = LEVELS[kind];
  if (!Number.isInteger(level) || level < least || level > most) {
    throw new JailbuildError('USAGE', `the levels of ${kind} are ${least} to ${most}`);
  }
}

/**
 * Compresses chunks. The same chunks give the same bytes with the same version of Node (and, where
 * Node has no zstd, of the zstd program).
 *
 * @throws JailbuildError as `zstd`
 */
export async function* compress(
  chunks: Iterable<Buffer>,
  { kind, level }: CompressionChoice,
): AsyncGenerator<Buffer> {
  switch (kind) {
    case 'none':
      yield* chunks;
      return;
    case 'gzip': {
      const { gzip } = await import('./gzip.js');
      yield* gzip(chunks, levelOf(kind, level));
      return;
    }
    case 'zstd': {
      const { zstd } = await import('./zstd.js');
      yield* zstd(chunks, levelOf(kind, level));
    }
  }
}
