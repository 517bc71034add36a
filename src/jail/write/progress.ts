import type { Entry } from '../../manifest/manifest.js';
import type { FileReport } from '../report.js';
import type { WriteOptions } from './options.js';

/** Collects the reports on the entries of a plan, and passes them on in the plan's order. */
export class Progress {
  readonly #options: Pick<WriteOptions, 'onFile' | 'onMade'>;
  /** By position in the plan. */
  readonly #reports: FileReport[];
  #passedOn = 0;

  /** @param entries number of entries in the plan */
  constructor(entries: number, options: Pick<WriteOptions, 'onFile' | 'onMade'>) {
    this.#options = options;
    this.#reports = new Array(entries);
  }

  /**
   * Takes the report on an entry, and passes on all that no earlier one is missing for: files are copied in parallel,
   * and two builds of one plan are to print the same.
   *
   * @param position index of the entry in the plan
   */
  add(position: number, entry: Entry, action: FileReport['action'], skipped?: string): void {
    const { path, type } = entry;
    this.#reports[position] =
      skipped === undefined
        ? { path, type, status: 'ok', action }
        : { path, type, status: 'skipped', action, reason: skipped };
    this.#options.onMade?.(entry);
    for (;;) {
      const next = this.#reports[this.#passedOn];
      if (next === undefined) return;
      this.#passedOn++;
      this.#options.onFile?.(next);
    }
  }

  /** Returns one report for each entry, in the plan's order. */
  reports(): FileReport[] {
    return this.#reports;
  }
}
