import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { FileReport } from '../report.js';

/** Collects reports on planned entries. */
export class Progress {
  readonly #onFile: (report: FileReport) => void;
  readonly #reports = new Map<string, FileReport>();

  constructor(onFile: (report: FileReport) => void = () => {}) {
    this.#onFile = onFile;
  }

  add({ path, type }: Entry, action: FileReport['action'], skipped?: string): void {
    const report: FileReport =
      skipped === undefined
        ? { path, type, status: 'ok', action }
        : { path, type, status: 'skipped', action, reason: skipped };
    this.#reports.set(path, report);
    this.#onFile(report);
  }

  /** Returns one report for each entry, in the plan's order. */
  reports({ entries }: Manifest): FileReport[] {
    return entries.flatMap(({ path }) => this.#reports.get(path) ?? []);
  }
}
