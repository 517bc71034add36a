import type { Entry } from './manifest.js';

/** The progress of a long task, for a user interface. */
export interface WorkProgress {
  readonly kind: 'hash' | 'write' | 'pack' | 'push';
  /** Files done. */
  readonly files: number;
  readonly totalFiles: number;
  /** Bytes done, including those of unfinished files. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/**
 * The maximum time in milliseconds before timers and signals get a turn; displays stand still
 * meanwhile.
 */
const LONGEST_TURN = 50;

/** Counts the files and bytes of a task and reports each change. */
export class WorkMeter {
  readonly #report: ((progress: WorkProgress) => void) | undefined;
  #progress: WorkProgress;
  #turned = performance.now();

  /**
   * @param total the whole task
   * @param report called with each change; without it, nothing is counted
   */
  constructor(
    kind: WorkProgress['kind'],
    total: { readonly files: number; readonly bytes: number },
    report?: (progress: WorkProgress) => void,
  ) {
    this.#report = report;
    this.#progress = { kind, files: 0, totalFiles: total.files, bytes: 0, totalBytes: total.bytes };
  }

  /** @param files how many files are finished with these bytes */
  add(bytes: number, files = 0): void {
    if (this.#report === undefined) return;
    const { bytes: doneBytes, files: doneFiles } = this.#progress;
    this.#progress = { ...this.#progress, bytes: doneBytes + bytes, files: doneFiles + files };
    this.#report(this.#progress);
  }

  /**
   * Gives timers and signals a turn from time to time, in work that never waits. Only if progress
   * is reported.
   */
  async turn(): Promise<void> {
    if (this.#report === undefined || performance.now() - this.#turned < LONGEST_TURN) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turned = performance.now();
  }
}

/** Returns the number of files among entries and their size in bytes, each file counted once. */
export function fileTotals(entries: readonly Entry[]): { files: number; bytes: number } {
  const totals = { files: 0, bytes: 0 };
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.hardlink !== undefined) continue;
    totals.files++;
    totals.bytes += entry.size;
  }
  return totals;
}
