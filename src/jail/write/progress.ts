import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { FileReport } from '../report.js';

/** Collects reports on planned entries. */
export class Progress {
  readonly #onFile: (report: FileReport) => void;
  readonly #reports = new Map<string, FileReport>();
  /** Those of entries whose positions in the plan are known. */
  readonly #placed: FileReport[] = [];

  constructor(onFile: (report: FileReport) => void = () => {}) {
    this.#onFile = onFile;
  }

  /** @param position index of the entry in the plan: its report takes less memory than by path */
  add(
    { path, type }: Entry,
    action: FileReport['action'],
    skipped?: string,
    position?: number,
  ): void {
    const report: FileReport =
      skipped === undefined
        ? { path, type, status: 'ok', action }
        : { path, type, status: 'skipped', action, reason: skipped };
    if (position === undefined) this.#reports.set(path, report);
    else this.#placed[position] = report;
    this.#onFile(report);
  }

  /** Returns one report for each entry, in the plan's order. */
  reports({ entries }: Manifest): FileReport[] {
    const reports: FileReport[] = [];
    for (const [index, { path }] of entries.entries()) {
      const report = this.#placed[index] ?? this.#reports.get(path);
      if (report !== undefined) reports.push(report);
    }
    return reports;
  }
}
