import packageJson from '../../../package.json' with { type: 'json' };
import { JailbuildError } from '../../errors.js';
import type { FileTree } from '../../export/file-tree.js';
import { creationTime, sourceDateEpoch } from '../../export/times.js';
import { Sysroot } from '../../fs/sysroot.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { WorkProgress } from '../../manifest/work.js';
import { SBOM_EXTENSION, type SbomFormat, sbomDocument } from '../../sbom/document.js';
import { takeInventory } from '../../sbom/inventory.js';
import { warn } from '../report-error.js';

/** The name of an unnamed subject: directory names mean nothing elsewhere. */
export const UNNAMED = 'rootfs';

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
  const system = new Sysroot(sysroot || '/');
  const tree = { entries: manifest.entries, sourceRoot: system.prefix };
  const made = await makeSbom(request, UNNAMED, tree, system, ({ source }) => source);
  for (const warning of made.warnings) warn(warning);
  return made.text;
}

/** Makes a bill of materials as text, with the digests that it lists. */
export async function makeSbom(
  { format }: SbomRequest,
  name: string,
  tree: FileTree,
  sysroot: Sysroot,
  originOf: (entry: Entry) => string | undefined,
  onWork?: (progress: WorkProgress) => void,
): Promise<{
  readonly text: string;
  readonly digests: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}> {
  const inventory = await takeInventory(tree, sysroot, originOf, onWork);
  const text = await sbomDocument(format, inventory, {
    name,
    created: creationTime(tree.entries, sourceDateEpoch()),
    toolVersion: packageJson.version,
  });
  const files = [...inventory.files, ...inventory.packages.flatMap((owner) => owner.files)];
  return {
    text,
    digests: new Map(files.map(({ path, sha256 }) => [path, `sha256:${sha256}`])),
    warnings: inventory.warnings,
  };
}
