import type { BigIntStats } from 'node:fs';

/** A part of a file that may have data: offsets in bytes, the end not included. */
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

/** Holes of less in a file are read. In bytes. */
const WORTHWHILE = 1n << 20n;

/** Zeros that stand for a hole. They are never written to, and are known by their identity. */
export const ZEROS: Buffer = Buffer.alloc(1 << 20);

/** Whether a file occupies so much less than its size that its holes are worth knowing (stat(2)). */
export function isSparse({ size, blocks }: BigIntStats): boolean {
  return blocks * 512n + WORTHWHILE <= size;
}

/** What tells a file from itself after it was written to. */
export function stampOf({ dev, ino, size, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, ctimeNs].join(':');
}

/** The data of sparse files: to read a hole costs as much as to read what is written. */
export class SparseFiles {
  readonly #extents: ReadonlyMap<string, { stamp: string; extents: readonly Extent[] }>;

  /** @param extents by path, with the stamp of the file that they were taken from */
  constructor(extents: ReadonlyMap<string, { stamp: string; extents: readonly Extent[] }>) {
    this.#extents = extents;
  }

  has(path: string): boolean {
    return this.#extents.has(path);
  }

  /** Returns the pieces of a file in their order; of one that has changed since, a single piece. */
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
