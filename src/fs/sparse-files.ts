import type { BigIntStats } from 'node:fs';

/** A part of a file that may contain data: byte offsets, end exclusive. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** A part of a file: data, or a hole, which reads as zeros. */
export interface Piece {
  readonly at: number;
  readonly length: number;
  readonly isHole: boolean;
}

/** Minimum size of a hole worth skipping, in bytes. */
const WORTHWHILE = 1n << 20n;

const ZEROS_SIZE = 1 << 20;
let madeZeros: Buffer | undefined;

/**
 * Returns 1 MiB of zeros that stand for a hole: always the same buffer, recognized by `isZeros`, never written to. Made
 * when first used, since the start-up snapshot would contain it, and each start read it.
 */
export function zeros(): Buffer {
  madeZeros ??= Buffer.alloc(ZEROS_SIZE);
  return madeZeros;
}

/** Returns whether a chunk is `zeros()` itself. */
export function isZeros(chunk: Uint8Array): boolean {
  return chunk === madeZeros;
}

/** Returns whether a file occupies so much less than its size that looking for holes pays (stat(2)). */
export function isSparse({ size, blocks }: BigIntStats): boolean {
  return blocks * 512n + WORTHWHILE <= size;
}

/** Returns a stamp that changes when a file is written to. */
export function stampOf({ dev, ino, size, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, ctimeNs].join(':');
}

/** Data extents of sparse files; reading a hole costs as much as reading data. */
export class SparseFiles {
  readonly #extents: ReadonlyMap<string, { stamp: string; extents: readonly Extent[] }>;

  /** @param extents by path, each with the stamp of the file it was taken from */
  constructor(extents: ReadonlyMap<string, { stamp: string; extents: readonly Extent[] }>) {
    this.#extents = extents;
  }

  has(path: string): boolean {
    return this.#extents.has(path);
  }

  /** Returns the pieces of a file in order; a single piece if the file has changed since. */
  pieces(path: string, stat: BigIntStats): Piece[] {
    const size = Number(stat.size);
    const known = this.#extents.get(path);
    const extents = known?.stamp === stampOf(stat) ? known.extents : [{ start: 0, end: size }];
    const pieces: Piece[] = [];
    let at = 0;
    const add = (end: number, isHole: boolean): void => {
      if (end > at) pieces.push({ at, length: end - at, isHole });
      at = Math.max(at, end);
    };
    for (const { start, end } of extents) {
      add(Math.min(start, size), true);
      add(Math.min(end, size), false);
    }
    add(size, true);
    return pieces;
  }
}
