import packageJson from '../../package.json' with { type: 'json' };
import type { FileTree } from '../export/file-tree.js';
import { creationTime, sourceDateEpoch } from '../export/times.js';
import type { Sysroot } from '../fs/sysroot.js';
import { addDigests } from '../manifest/digest.js';
import type { Entry } from '../manifest/manifest.js';
import type { WorkProgress } from '../manifest/work.js';
import { type Attached, attachmentsFor } from './attachments.js';
import { type SbomFormat, sbomDocument } from './document.js';
import { takeInventory } from './inventory.js';

/** Name of the subject if it has none: the name of a directory means nothing elsewhere. */
export const UNNAMED = 'rootfs';

/** A bill of materials as text, with the digests that it lists. */
export async function makeSbom(
  format: SbomFormat,
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

/** A tree that is exported, and where its files are from. */
export interface DescribedTree {
  readonly tree: FileTree;
  readonly sysroot: Sysroot;
  readonly originOf: (entry: Entry) => string | undefined;
  /** The image that it was made from. */
  readonly from?: Attached['image'];
}

/** The documents that an export makes. */
export interface DocumentChoice {
  readonly name: string;
  readonly sbom?: { readonly format: SbomFormat; readonly isAttached: boolean } | undefined;
  readonly provenance: boolean;
  readonly onWork?: (progress: WorkProgress) => void;
}

/**
 * Makes the documents about a tree, and returns it with the digests that they list: an export fails if a file no longer
 * has its digest.
 */
export async function documentTree(
  { tree, sysroot, originOf, from }: DescribedTree,
  { name, sbom, provenance, onWork }: DocumentChoice,
) {
  const made =
    sbom === undefined
      ? undefined
      : await makeSbom(sbom.format, name, tree, sysroot, originOf, onWork);
  let { entries } = tree;
  if (made !== undefined) {
    entries = entries.map((entry): Entry => {
      const digest = made.digests.get(entry.path);
      return entry.type === 'file' && digest !== undefined ? { ...entry, digest } : entry;
    });
  }
  let documented: FileTree = { ...tree, entries };
  if (provenance) documented = await addDigests(documented, tree.sourceRoot, onWork);
  const attached = sbom?.isAttached ? { format: sbom.format, text: made?.text ?? '' } : undefined;
  const attachmentsOf = attachmentsFor({
    name,
    entries: documented.entries,
    sbom: attached,
    isProven: provenance,
    image: from,
  });
  return { tree: documented, attachmentsOf, sbomText: made?.text, warnings: made?.warnings ?? [] };
}
