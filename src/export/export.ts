import type { KeyObject } from 'node:crypto';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { draftFile } from '../fs/draft.js';
import { DraftDirectory } from '../fs/draft-directory.js';
import { releaseTrees } from '../fs/held-tree.js';
import { openOutput, standardOutput } from '../fs/open-output.js';
import type { OutputFile } from '../fs/output-file.js';
import type { Platform } from '../image/platform.js';
import type { RegistryOptions } from '../image/registry/access.js';
import { findSparse } from '../jail/engine/sparse-sources.js';
import type { Entry } from '../manifest/manifest.js';
import { fileTotals, WorkMeter } from '../manifest/work.js';
import {
  BLOBS,
  type Blob,
  BlobArchive,
  BlobDirectory,
  type BlobStore,
  blobName,
  writeBlob,
} from './blobs.js';
import { checkCompression, compress } from './compression.js';
import { cpio } from './cpio.js';
import { json } from './descriptor.js';
import {
  type Destination,
  type ExportFormat,
  isContainerImage,
  STDOUT_PATH,
} from './destination.js';
import type { DiskDestination } from './disk-image.js';
import { scratchDirectory } from './draft.js';
import type { FileTree } from './file-tree.js';
import type { StoredLayer } from './image.js';
import {
  INDEX_FILE,
  indexWith,
  LAYOUT,
  LAYOUT_FILE,
  readIndex,
  taggedImages,
} from './oci-layout.js';
import type { Referrer } from './referrers.js';
import {
  referrersOf,
  type StoredImage,
  type StoredImages,
  type StoreOptions,
  storeEach,
  storeImages,
  storeLayersAndConfig,
  uniteImages,
} from './store-images.js';
import { TAR_END, tar } from './tar.js';
import { imageXattrs, refuseReservedNames } from './target-names.js';
import { creationTime, reproducibleTimes } from './times.js';
import type { Verity } from './verity.js';

export interface ExportOptions extends StoreOptions {
  /** Whether a file system gets a dm-verity hash tree. */
  readonly verity?: boolean;
  /** Access to registries. */
  readonly registry?: RegistryOptions;
  /** Signs images that are pushed to a registry. */
  readonly signingKey?: KeyObject;
  /** Whether to keep the images that the tag has for other platforms. */
  readonly append?: boolean;
}

/** One of the images of an export. */
export interface ExportPart {
  readonly tree: FileTree;
  readonly options: ExportOptions;
}

/** The result of an export. */
export interface ExportResult {
  readonly format: ExportFormat;
  readonly path: string;
  /** Digest of the manifest of an image (docker-archive: of its configuration) or of the file. */
  readonly digest: string;
  /** Size in bytes: of the file, or of an image's manifest, configuration and layers. */
  readonly size: number;
  readonly entries: number;
  /** The hash tree of a file system. */
  readonly verity?: Verity;
  readonly image?: {
    /** The tag, or the reference of a docker-archive. */
    readonly name: string | undefined;
    readonly platform: Platform;
    readonly config: string;
    readonly layers: readonly StoredLayer[];
  };
  /** Instead of `image`: an index of images for several platforms, which the digest is of. */
  readonly index?: {
    readonly name: string | undefined;
    /** The images of this export, each with the digest of its manifest. */
    readonly images: readonly ExportedImage[];
  };
  /** Attachments of the images. */
  readonly referrers?: readonly Referrer[];
}

/** One image of an index. */
export interface ExportedImage {
  readonly platform: Platform;
  readonly digest: string;
  readonly config: string;
  readonly layers: readonly StoredLayer[];
}

/**
 * Writes a tree as an archive or an image. What is written appears whole or not at all, and is the
 * same to the byte for equal trees: nothing of the machine, the user or the time goes into it.
 * Memory use does not depend on the size of the tree.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE, PLATFORM_UNKNOWN,
 *   PLATFORM_DIFFERS, CONFLICT, REGISTRY_FAILED, TOOL_MISSING, WRITE_FAILED, USAGE
 * @throws the signal's reason
 */
export function exportTree(
  tree: FileTree,
  destination: Destination,
  options: ExportOptions = {},
): Promise<ExportResult> {
  return exportParts([{ tree, options }], destination);
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
): Promise<ExportResult> {
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
): Promise<ExportResult> {
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

async function exportArchive(
  tree: FileTree,
  destination: Extract<Destination, { kind: 'tar' | 'cpio' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { kind, path: file } = destination;
  const compression = options.compression ?? { kind: destination.compression };
  const meter = packMeter(tree, options);
  const chunks = watched(kind === 'tar' ? tar(tree, meter) : cpio(tree, meter), options);
  const blob = await drafted(await openArchive(file, options), async (output) => {
    const write = (...some: readonly Buffer[]) => output.append(...some);
    const stored = await writeBlob(compress(chunks, compression), write);
    output.commit();
    return stored;
  });
  return { format: kind, path: file, ...blob, entries: tree.entries.length };
}

async function exportDisk(
  tree: FileTree,
  destination: DiskDestination,
  options: ExportOptions,
): Promise<ExportResult> {
  const { writeDiskImage } = await import('./disk-image.js');
  const { signal } = options;
  const watch = (chunks: Iterable<Buffer>) => watched(chunks, options);
  const image = await writeDiskImage(tree, destination, options, {
    ...{ signal, watch, meter: packMeter(tree, options) },
  });
  const { kind, path: file } = destination;
  return { format: kind, path: file, ...image, entries: tree.entries.length };
}

async function exportPortable(
  tree: FileTree,
  { kind, path: place }: Extract<Destination, { kind: 'portable' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { checkPortable } = await import('./portable.js');
  checkPortable(tree, place);
  if (place.endsWith('.raw')) {
    return {
      ...(await exportDisk(tree, { kind: 'squashfs', path: place }, options)),
      format: kind,
    };
  }
  const { writeDirectory } = await import('./unpacked.js');
  const { signal } = options;
  const watch = (chunks: Iterable<Buffer>) => watched(chunks, options);
  const meter = packMeter(tree, options);
  const made = await writeDirectory(tree, place, { signal, watch, meter });
  return { format: kind, path: place, ...made, entries: tree.entries.length };
}

async function openArchive(file: string, { signal }: ExportOptions): Promise<OutputFile> {
  const output = file === STDOUT_PATH ? standardOutput() : await openOutput(file, signal);
  if (!(await output.isTerminal)) return output;
  output.discard();
  throw new JailbuildError('USAGE', `${file}: refusing to write an archive to a terminal`);
}

/**
 * Adds to an existing layout, or creates one. Its index, which makes an image part of it, is
 * written last and by one export at a time, so that images added meanwhile are kept.
 */
async function exportLayout(
  parts: readonly ExportPart[],
  destination: Extract<Destination, { kind: 'oci' }>,
  { append, signal }: ExportOptions,
): Promise<ExportResult> {
  const { path: directory, tag } = destination;
  const addTo = async (root: string, images: readonly StoredImage[]): Promise<ExportResult> => {
    const known = root === directory ? readIndex(directory) : undefined;
    const beside = append ? taggedImages(directory, known, tag) : [];
    const stored = await uniteImages(images, new BlobDirectory(root), beside);
    await drafted(draftFile(path.join(root, INDEX_FILE)), async (index) => {
      await index.append(indexWith(known, stored.root, tag, referrersOf(stored)));
      index.commit();
    });
    return resultOf(parts, destination, stored, tag);
  };
  const addLocked = async (images: readonly StoredImage[]): Promise<ExportResult> => {
    const { lockJail } = await import('../jail/lock.js');
    const lock = await lockJail(directory, { wait: true, signal });
    try {
      return await addTo(directory, images);
    } finally {
      await lock.release();
    }
  };
  if (readIndex(directory) !== undefined) {
    return addLocked(await storeEach(parts, new BlobDirectory(directory)));
  }
  return drafted(new DraftDirectory(directory), async (draft) => {
    const store = new BlobDirectory(draft.path);
    const images = await storeEach(parts, store);
    await store.put([LAYOUT], () => LAYOUT_FILE);
    const result = await addTo(draft.path, images);
    if (draft.commitUnlessThere()) return result;
    // Another export has created the layout meanwhile.
    draft.moveFiles(BLOBS);
    const added = await addLocked(images);
    draft.discard();
    return added;
  });
}

/** Stores layers first, so that an interrupted upload can be resumed. */
async function exportToRegistry(
  parts: readonly ExportPart[],
  { kind, path: name }: Extract<Destination, { kind: 'docker' }>,
  { signal, registry, append, signingKey }: ExportOptions,
): Promise<ExportResult> {
  const { RegistryClient } = await import('../image/registry/client.js');
  const { parseRegistryName } = await import('../image/registry/name.js');
  const { pushToRegistry } = await import('./push.js');
  const { imagesOfTag } = await import('../image/registry/tagged-images.js');
  const settings = { ...registry, ...(signal === undefined ? {} : { signal }) };
  const client = new RegistryClient(parseRegistryName(name), 'pull,push', settings);
  const scratch = scratchDirectory();
  try {
    const beside = append ? await imagesOfTag(client) : [];
    const stored = await storeImages(parts, new BlobDirectory(scratch.path), beside);
    const fileOf = (digest: string) => path.join(scratch.path, blobName(digest));
    await pushToRegistry(client, stored, fileOf, parts[0]?.options.onWork);
    if (signingKey !== undefined) {
      const { signImages } = await import('./signature.js');
      const digests = new Set([
        ...stored.images.map(({ manifest }) => manifest.digest),
        stored.root.digest,
      ]);
      await signImages(client, [...digests], signingKey);
    }
    return resultOf(parts, { kind, path: name }, stored, undefined);
  } finally {
    client.close();
    scratch.remove();
  }
}

async function exportImageArchive(
  parts: readonly ExportPart[],
  destination: Extract<Destination, { kind: 'oci-archive' | 'docker-archive' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { kind, path: file } = destination;
  const entries = parts.flatMap(({ tree }) => tree.entries);
  const created = creationTime(entries, options.epoch);
  const write = async (draft: OutputFile): Promise<ExportResult> => {
    const store = new BlobArchive(draft, BigInt(created.getTime()) * 1_000_000n);
    const result = await (kind === 'oci-archive'
      ? storeLayout(parts, store, destination)
      : storeDockerArchive(parts, store, destination));
    await draft.append(TAR_END);
    draft.commit();
    return result;
  };
  return drafted(await openArchive(file, options), async (output) => {
    if (output.isDraft) return write(output);
    // The headers of an archive's members are known only after their content.
    const { createReadStream } = await import('node:fs');
    const scratch = scratchDirectory();
    try {
      const staged = path.join(scratch.path, 'image.tar');
      const result = await drafted(draftFile(staged), write);
      for await (const chunk of createReadStream(staged)) await output.append(chunk as Buffer);
      output.commit();
      return result;
    } finally {
      scratch.remove();
    }
  });
}

async function storeLayout(
  parts: readonly ExportPart[],
  store: BlobStore,
  destination: Extract<Destination, { kind: 'oci-archive' }>,
): Promise<ExportResult> {
  const stored = await storeImages(parts, store);
  const index = indexWith(undefined, stored.root, destination.tag, referrersOf(stored));
  await store.put([index], () => INDEX_FILE);
  await store.put([LAYOUT], () => LAYOUT_FILE);
  return resultOf(parts, destination, stored, destination.tag);
}

/** Writes the format of `docker save`: layers, a configuration, and a list of images. */
async function storeDockerArchive(
  parts: readonly ExportPart[],
  store: BlobStore,
  destination: Extract<Destination, { kind: 'docker-archive' }>,
): Promise<ExportResult> {
  const [{ tree, options }] = parts as [ExportPart];
  if (options.compression !== undefined && options.compression.kind !== 'none') {
    throw new JailbuildError('USAGE', 'the layers of a docker-archive are not compressed');
  }
  const uncompressed = { ...options, compression: { kind: 'none' } } as const;
  const hex = (digest: string) => digest.slice(digest.indexOf(':') + 1);
  const { layers, platform, config } = await storeLayersAndConfig(tree, store, uncompressed, {
    layer: (digest) => `${hex(digest)}.tar`,
    config: (digest) => `${hex(digest)}.json`,
  });
  const list = json([
    {
      Config: `${hex(config.digest)}.json`,
      RepoTags: destination.ref === undefined ? [] : [destination.ref],
      Layers: layers.map(({ digest }) => `${hex(digest)}.tar`),
    },
  ]);
  await store.put([list], () => 'manifest.json');
  return {
    format: destination.kind,
    path: destination.path,
    digest: config.digest,
    size: sizeOf([config, ...layers]),
    entries: tree.entries.length,
    image: { name: destination.ref, platform, config: config.digest, layers },
  };
}

function resultOf(
  parts: readonly ExportPart[],
  { kind, path }: Destination,
  { root, images }: StoredImages,
  name: string | undefined,
): ExportResult {
  const blobs = images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]);
  const exported = images.map(({ platform, manifest, config, layers }) => ({
    platform,
    digest: manifest.digest,
    config: config.digest,
    layers,
  }));
  const [image] = exported;
  const isSingle = image?.digest === root.digest;
  const referrers = images.flatMap((one) => one.referrers.map(({ referrer }) => referrer));
  return {
    format: kind,
    path,
    digest: root.digest,
    size: sizeOf(isSingle ? blobs : [root, ...blobs]),
    entries: parts.reduce((sum, { tree }) => sum + tree.entries.length, 0),
    ...(isSingle
      ? { image: { name, platform: image.platform, config: image.config, layers: image.layers } }
      : { index: { name, images: exported } }),
    ...(referrers.length === 0 ? {} : { referrers }),
  };
}

function sizeOf(blobs: readonly Blob[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

function packMeter({ entries }: FileTree, { onWork }: ExportOptions): WorkMeter {
  return new WorkMeter('pack', fileTotals(entries), onWork);
}

function* watched(chunks: Iterable<Buffer>, options: ExportOptions): Generator<Buffer> {
  for (const chunk of chunks) {
    options.signal?.throwIfAborted();
    options.onProgress?.(chunk.length);
    yield chunk;
  }
}

/** Discards a draft if the work on it fails. */
async function drafted<D extends { discard(): void }, R>(
  draft: D,
  work: (draft: D) => Promise<R>,
): Promise<R> {
  try {
    return await work(draft);
  } catch (error) {
    draft.discard();
    throw error;
  }
}
