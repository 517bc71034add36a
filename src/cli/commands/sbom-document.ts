import { JailbuildError } from '../../errors.js';
import { Sysroot } from '../../fs/sysroot.js';
import type { Manifest } from '../../manifest/manifest.js';
import { SBOM_EXTENSION, type SbomFormat } from '../../sbom/document.js';
import { warn } from '../report-error.js';

interface SbomArguments {
  readonly sbom: string | undefined;
  readonly 'sbom-file': string | undefined;
}

export interface SbomRequest {
  readonly format: SbomFormat;
  /** Undefined for standard output. */
  readonly file: string | undefined;
}

/**
 * Returns the bill of materials that the command line requests.
 *
 * @param beside the file that it describes; undefined if there is none
 * @param format the format in the jail file
 * @throws JailbuildError USAGE
 */
export function sbomRequest(
  args: SbomArguments,
  beside: string | undefined,
  format?: SbomFormat,
): SbomRequest | undefined {
  const chosen = (args.sbom as SbomFormat | undefined) ?? format;
  if (chosen === undefined) {
    if (args['sbom-file'] === undefined) return undefined;
    throw new JailbuildError('USAGE', '--sbom-file requires --sbom');
  }
  const file =
    args['sbom-file'] ?? (beside === undefined ? undefined : beside + SBOM_EXTENSION[chosen]);
  return { format: chosen, file };
}

/**
 * Returns the bill of materials of a plan, as text.
 *
 * @param sysroot the directory that the plan uses as `/`; undefined or '' for `/` itself
 */
export async function manifestSbom(
  request: SbomRequest,
  manifest: Manifest,
  sysroot: string | undefined,
): Promise<string> {
  const { makeSbom, UNNAMED } = await import('../../sbom/make-sbom.js');
  const system = new Sysroot(sysroot || '/');
  const tree = { entries: manifest.entries, sourceRoot: system.prefix };
  const made = await makeSbom(request.format, UNNAMED, tree, system, ({ source }) => source);
  for (const warning of made.warnings) warn(warning);
  return made.text;
}
