import type { BuildResult } from '../../jail/build/pipeline.js';
import type { FileReport } from '../../jail/report.js';
import type { Advice } from '../../manifest/advice.js';
import type { MissingLibrary } from '../../manifest/manifest.js';

/** The output of `--json` for a build (docs/cli.md). */
export interface BuildReport {
  readonly status: 'ok';
  readonly target: string;
  readonly files: readonly FileReport[];
  /** Obsolete paths of earlier builds that were removed. */
  readonly removed: readonly string[];
  /** The number of files that the programs were found to load inside the jail. */
  readonly verified: number;
  readonly missing: readonly MissingLibrary[];
  readonly warnings: readonly string[];
  readonly hints: readonly string[];
  /** Hints of what programs may lack, the likeliest first. */
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

/** Returns a JSON document followed by a newline. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
