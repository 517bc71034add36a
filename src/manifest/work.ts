import type { Entry } from './manifest.js';

/** How far a long piece of work is, for a user interface. */
export interface WorkProgress {
  readonly kind: 'hash' | 'write' | 'pack' | 'push';
  /** Files done. */
  readonly files: number;
  readonly totalFiles: number;
  /** Bytes done, of files in hand too. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** The longest time without a turn of the event loop, in milliseconds: a display stands still meanwhile. */
const LONGEST_TURN = 50;

/** Counts files and bytes of a piece of work, and reports each change. */
export class WorkMeter {
  readonly #report: ((progress: WorkProgress) => void) | undefined;
  #progress: WorkProgress;
  #turned = performance.now();

  /** @param total what is to be done; without a receiver nothing is counted */
  constructor(
    kind: WorkProgress['kind'],
    total: { readonly files: number; readonly bytes: number },
    report?: (progress: WorkProgress) => void,
  ) {
    this.#report = report;
    this.#progress = { kind, files: 0, totalFiles: total.files, bytes: 0, totalBytes: total.bytes };
  }

  /** @param files how many of them are done with these bytes */
  add(bytes: number, files = 0): void {
    if (this.#report === undefined) return;
    const { bytes: doneBytes, files: doneFiles } = this.#progress;
    this.#progress = { ...this.#progress, bytes: doneBytes + bytes, files: doneFiles + files };
    this.#report(this.#progress);
  }

  /** Gives timers and signals a turn now and then, in work that never waits; not without a receiver. */
  async turn(): Promise<void> {
    if (this.#report === undefined || performance.now() - this.#turned < LONGEST_TURN) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turned = performance.now();
  }
}

/** The files of entries, and their bytes, each file counted once. */
export function fileTotals(entries: readonly Entry[]): { files: number; bytes: number } {
  const totals = { files: 0, bytes: 0 };
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.hardlink !== undefined) continue;
    totals.files++;
    totals.bytes += entry.size;
  }
  return totals;
}
