import type { BuildResult } from '../../jail/build/pipeline.js';
import type { FileReport } from '../../jail/report.js';
import type { Advice } from '../../manifest/advice.js';
import type { MissingLibrary } from '../../manifest/manifest.js';

/** What `--json` prints for a build. docs/cli.md describes it. */
export interface BuildReport {
  readonly status: 'ok';
  readonly target: string;
  readonly files: readonly FileReport[];
  /** Paths that earlier builds had put there, and that were taken out. */
  readonly removed: readonly string[];
  /** The number of files that the programs were found to load inside the jail. */
  readonly verified: number;
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
  readonly hints: readonly string[];
  /** What programs may miss, the likeliest first. */
  readonly advice: readonly Advice[];
}

export function buildReport(target: string, result: BuildResult): BuildReport {
  const { files, removed, verifiedFiles, manifest, warnings } = result;
  return {
    status: 'ok',
    target,
    files,
    removed,
    verified: verifiedFiles,
    missing: manifest.missing,
    warnings: [...manifest.warnings, ...warnings],
    hints: manifest.hints ?? [],
    advice: manifest.advice ?? [],
  };
}

/** One JSON document with a line end. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
