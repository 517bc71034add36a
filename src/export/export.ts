import { JailbuildError } from '../errors.js';
import { releaseTrees } from '../fs/held-tree.js';
import { findSparse } from '../jail/engine/sparse-sources.js';
import type { Entry } from '../manifest/manifest.js';
import { checkCompression } from './compression.js';
import { type Destination, isContainerImage } from './destination.js';
import type { FileTree } from './file-tree.js';
import { exportArchive, exportDisk, exportPortable } from './files.js';
import { exportImageArchive } from './image-archive.js';
import { exportLayout } from './image-layout.js';
import type { ExportOptions, ExportPart } from './options.js';
import { exportToRegistry } from './registry-images.js';
import { digested, type ExportResult, type WrittenExport } from './result.js';
import { imageXattrs, refuseReservedNames } from './target-names.js';
import { reproducibleTimes } from './times.js';

/**
 * Writes a tree as an archive or an image. What is written appears whole or not at all, and is the
 * same to the byte for equal trees: nothing of the machine, the user or the time goes into it.
 * Memory use does not depend on the size of the tree.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE, PLATFORM_UNKNOWN,
 *   PLATFORM_DIFFERS, CONFLICT, REGISTRY_FAILED, TOOL_MISSING, WRITE_FAILED, USAGE
 * @throws the signal's reason
 */
export async function exportTree(
  tree: FileTree,
  destination: Destination,
  options: Omit<ExportOptions, 'skipDigest'> = {},
): Promise<ExportResult> {
  return digested(await exportParts([{ tree, options }], destination));
}

/**
 * Writes trees for several platforms as one image, or a single tree in any form. What is no part of one
 * image alone is as the first part says.
 *
 * @throws JailbuildError as `exportTree`; USAGE where a form takes one tree alone
 */
export async function exportParts(
  given: readonly [ExportPart, ...(readonly ExportPart[])],
  destination: Destination,
): Promise<WrittenExport> {
  const [first] = given;
  const { options } = first;
  const { kind } = destination;
  const mayBeIndex = kind === 'oci' || kind === 'oci-archive' || kind === 'docker';
  if (given.length > 1 && !mayBeIndex) {
    throw new JailbuildError(
      'USAGE',
      `${kind} holds one platform: use oci, oci-archive or docker://`,
    );
  }
  const parts = given.map((part) => prepared(part, destination));
  try {
    const whole = await Promise.all(parts.map(withHoles));
    return await write(whole, destination, options);
  } finally {
    releaseTrees();
  }
}

function write(
  parts: readonly ExportPart[],
  destination: Destination,
  options: ExportOptions,
): Promise<WrittenExport> {
  const [{ tree }] = parts as [ExportPart];
  switch (destination.kind) {
    case 'tar':
    case 'cpio':
      return exportArchive(tree, destination, options);
    case 'squashfs':
    case 'erofs':
    case 'ext4':
      return exportDisk(tree, destination, options);
    case 'portable':
      return exportPortable(tree, destination, options);
    case 'oci':
      return exportLayout(parts, destination, options);
    case 'docker':
      return exportToRegistry(parts, destination, options);
    case 'oci-archive':
    case 'docker-archive':
      return exportImageArchive(parts, destination, options);
  }
}

async function withHoles({ tree, options }: ExportPart): Promise<ExportPart> {
  const sparse = await findSparse(tree.entries, tree.sourceRoot);
  return { tree: { ...tree, sparse }, options };
}

function prepared({ tree, options }: ExportPart, { kind }: Destination): ExportPart {
  if (options.compression !== undefined) checkCompression(options.compression);
  refuseReservedNames(tree.entries, kind);
  const isImage = isContainerImage({ kind });
  const entries = tree.entries.map((entry) => portable(entry, isImage));
  return { tree: { ...tree, entries: reproducibleTimes(entries, options.epoch) }, options };
}

/**
 * Extended attributes that are valid on other hosts (xattr(7)); labels and signatures belong to
 * this host.
 */
const PORTABLE_XATTR = /^(user\.|security\.capability$|system\.posix_acl_(access|default)$)/;

function portable(entry: Entry, isImage: boolean): Entry {
  const { xattrs = {}, ...rest } = entry;
  const meant = isImage ? imageXattrs(xattrs) : xattrs;
  const kept = Object.entries(meant).filter(([name]) => PORTABLE_XATTR.test(name));
  return kept.length === 0 ? rest : { ...rest, xattrs: Object.fromEntries(kept) };
}
