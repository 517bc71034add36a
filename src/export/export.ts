import path from 'node:path';
import { JailbuildError } from '../errors.js';
import {
  DraftDirectory,
  draftFile,
  type OutputFile,
  openOutput,
  standardOutput,
} from '../fs/atomic-file.js';
import type { Platform } from '../image/platform.js';
import type { RegistryOptions } from '../image/registry/client.js';
import type { Entry } from '../manifest/manifest.js';
import { BlobArchive, BlobDirectory, type BlobStore, blobName, writeBlob } from './blobs.js';
import { type CompressionChoice, checkCompression, compress } from './compression.js';
import { cpio } from './cpio.js';
import {
  type Destination,
  type ExportFormat,
  isContainerImage,
  STDOUT_PATH,
} from './destination.js';
import type { DiskDestination } from './disk-image.js';
import { scratchDirectory } from './draft.js';
import type { FileTree } from './file-tree.js';
import {
  type ImageOptions,
  imageConfig,
  imageManifest,
  json,
  MANIFEST_TYPE,
  type StoredLayer,
  storeLayers,
} from './image.js';
import { type LayerChoice, splitLayers } from './layers.js';
import { INDEX_FILE, indexWith, LAYOUT, LAYOUT_FILE, readIndex } from './oci-layout.js';
import { checkPlatform, platformOf } from './platform.js';
import { TAR_END, tar } from './tar.js';
import { imageXattrs, refuseReservedNames } from './target-names.js';
import { creationTime, reproducibleTimes } from './times.js';
import type { Verity } from './verity.js';

export interface ExportOptions {
  readonly image?: ImageOptions;
  /** Without it, that of the programs. */
  readonly platform?: Platform;
  readonly layers?: LayerChoice;
  /** The most layers of an image. */
  readonly maxLayers?: number;
  /** The package that an entry is from, for layers by package. */
  readonly packageOf?: (entry: Entry) => string | undefined;
  /** The default is gzip for layers and squashfs, and by file name for `tar` and `cpio`. */
  readonly compression?: CompressionChoice;
  /** No time in what is written is later: nanoseconds since the epoch. */
  readonly epoch?: bigint;
  /** Called with the number of bytes, before compression, that were written since. */
  readonly onProgress?: (bytes: number) => void;
  /** Whether a file system gets a dm-verity hash tree. */
  readonly verity?: boolean;
  /** How a registry is spoken with. */
  readonly registry?: RegistryOptions;
  /** Ends the export; nothing of it stays. */
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface ExportResult {
  readonly format: ExportFormat;
  readonly path: string;
  /** Digest of the manifest of an image (docker-archive: of its configuration) or of the file. */
  readonly digest: string;
  /** Bytes: of the file, or of an image's manifest, configuration and layers. */
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
}

const DEFAULT_MAX_LAYERS = 64;

/**
 * Writes a tree as an archive or an image. What is written appears whole or not at all, and is the
 * same to the byte for equal trees: nothing of the machine, the user or the time goes into it.
 * Memory use does not depend on the size of the tree.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE, PLATFORM_UNKNOWN, CONFLICT,
 *   TOOL_MISSING, WRITE_FAILED, USAGE
 * @throws the signal's reason
 */
export async function exportTree(
  tree: FileTree,
  destination: Destination,
  options: ExportOptions = {},
): Promise<ExportResult> {
  if (options.compression !== undefined) checkCompression(options.compression);
  const { kind } = destination;
  refuseReservedNames(tree.entries, kind);
  const isImage = isContainerImage(destination);
  const entries = tree.entries.map((entry) => portable(entry, isImage));
  const made = { ...tree, entries: reproducibleTimes(entries, options.epoch) };
  switch (destination.kind) {
    case 'tar':
    case 'cpio':
      return exportArchive(made, destination, options);
    case 'squashfs':
    case 'erofs':
    case 'ext4':
      return exportDisk(made, destination, options);
    case 'portable':
      return exportPortable(made, destination, options);
    case 'oci':
      return exportLayout(made, destination, options);
    case 'docker':
      return exportToRegistry(made, destination, options);
    case 'oci-archive':
    case 'docker-archive':
      return exportImageArchive(made, destination, options);
  }
}

/** Attributes that mean something elsewhere (xattr(7)). Labels and signatures are the host's own. */
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
  const chunks = watched(kind === 'tar' ? tar(tree) : cpio(tree), options);
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
  const image = await writeDiskImage(tree, destination, options, { signal, watch });
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
  const made = await writeDirectory(tree, place, { signal, watch });
  return { format: kind, path: place, ...made, entries: tree.entries.length };
}

async function openArchive(file: string, { signal }: ExportOptions): Promise<OutputFile> {
  const output = file === STDOUT_PATH ? standardOutput() : await openOutput(file, signal);
  if (!(await output.isTerminal)) return output;
  output.discard();
  throw new JailbuildError('USAGE', `${file}: refusing to write an archive to a terminal`);
}

/** Adds to a layout that exists: its index, which makes an image part of it, is written last. */
async function exportLayout(
  tree: FileTree,
  destination: Extract<Destination, { kind: 'oci' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { path: directory, tag } = destination;
  const known = readIndex(directory);
  const write = async (root: string): Promise<ExportResult> => {
    const store = new BlobDirectory(root);
    const image = await storeImage(tree, store, options);
    if (known === undefined) await store.put([LAYOUT], () => LAYOUT_FILE);
    await drafted(draftFile(path.join(root, INDEX_FILE)), async (index) => {
      await index.append(indexWith(known, image.manifest, tag, image.platform));
      index.commit();
    });
    return resultOf(tree, destination, image, tag);
  };
  if (known !== undefined) return write(directory);
  return drafted(new DraftDirectory(directory), async (draft) => {
    const result = await write(draft.path);
    draft.commit();
    return result;
  });
}

/** Layers are stored first, so that an upload that breaks off can go on. */
async function exportToRegistry(
  tree: FileTree,
  { kind, path: name }: Extract<Destination, { kind: 'docker' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { RegistryClient } = await import('../image/registry/client.js');
  const { parseRegistryName } = await import('../image/registry/name.js');
  const { pushBlobs, pushManifest } = await import('../image/registry/push.js');
  const { remove } = await import('fs-extra/esm');
  const { signal, registry } = options;
  const settings = { ...registry, ...(signal === undefined ? {} : { signal }) };
  const client = new RegistryClient(parseRegistryName(name), 'pull,push', settings);
  const scratch = scratchDirectory();
  try {
    const layout = path.join(scratch, 'layout');
    const stored = await exportLayout(tree, { kind: 'oci', path: layout, tag: 'pushed' }, options);
    const fileOf = (digest: string) => ({ digest, file: path.join(layout, blobName(digest)) });
    const blobs = [...(stored.image?.layers ?? []).map((layer) => layer.digest)];
    if (stored.image !== undefined) blobs.push(stored.image.config);
    const manifest = { ...fileOf(stored.digest), mediaType: MANIFEST_TYPE };
    await pushBlobs(client, blobs.map(fileOf));
    await pushManifest(client, manifest, client.name.tag ?? stored.digest);
    const { image, ...result } = stored;
    const told = image === undefined ? {} : { image: { ...image, name: undefined } };
    return { ...result, ...told, format: kind, path: name };
  } finally {
    client.close();
    await remove(scratch);
  }
}

async function exportImageArchive(
  tree: FileTree,
  destination: Extract<Destination, { kind: 'oci-archive' | 'docker-archive' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { kind, path: file } = destination;
  const created = creationTime(tree.entries, options.epoch);
  const write = async (draft: OutputFile): Promise<ExportResult> => {
    const store = new BlobArchive(draft, BigInt(created.getTime()) * 1_000_000n);
    const result = await (kind === 'oci-archive'
      ? storeLayout(tree, store, destination, options)
      : storeDockerArchive(tree, store, destination, options));
    await draft.append(TAR_END);
    draft.commit();
    return result;
  };
  return drafted(await openArchive(file, options), async (output) => {
    if (output.isDraft) return write(output);
    // The headers of an archive's members are known after their content.
    const { createReadStream } = await import('node:fs');
    const { remove } = await import('fs-extra/esm');
    const scratch = scratchDirectory();
    try {
      const staged = path.join(scratch, 'image.tar');
      const result = await drafted(draftFile(staged), write);
      for await (const chunk of createReadStream(staged)) await output.append(chunk as Buffer);
      output.commit();
      return result;
    } finally {
      await remove(scratch);
    }
  });
}

async function storeLayout(
  tree: FileTree,
  store: BlobStore,
  destination: Extract<Destination, { kind: 'oci-archive' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const image = await storeImage(tree, store, options);
  const index = indexWith(undefined, image.manifest, destination.tag, image.platform);
  await store.put([index], () => INDEX_FILE);
  await store.put([LAYOUT], () => LAYOUT_FILE);
  return resultOf(tree, destination, image, destination.tag);
}

/** The format of `docker save`: layers as they are, a configuration, and a list of images. */
async function storeDockerArchive(
  tree: FileTree,
  store: BlobStore,
  destination: Extract<Destination, { kind: 'docker-archive' }>,
  options: ExportOptions,
): Promise<ExportResult> {
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
  return resultOf(
    tree,
    destination,
    { layers, platform, config, manifest: config },
    destination.ref,
  );
}

type StoredImage = Awaited<ReturnType<typeof storeImage>>;

async function storeImage(tree: FileTree, store: BlobStore, options: ExportOptions) {
  const compression = options.compression ?? { kind: 'gzip' };
  const stored = await storeLayersAndConfig(
    tree,
    store,
    { ...options, compression },
    { layer: blobName, config: blobName },
  );
  const { config, layers } = stored;
  const text = imageManifest(config, layers, compression, options.image?.annotations);
  const manifest = await store.put([text], blobName);
  return { ...stored, manifest };
}

async function storeLayersAndConfig(
  tree: FileTree,
  store: BlobStore,
  options: ExportOptions & { readonly compression: CompressionChoice },
  nameOf: Readonly<Record<'layer' | 'config', (digest: string) => string>>,
) {
  const { entries, sourceRoot } = tree;
  if (options.platform !== undefined) checkPlatform(tree, options.platform);
  const platform = options.platform ?? platformOf(tree);
  const parts = splitLayers(entries, {
    by: options.layers ?? 'single',
    most: options.maxLayers ?? DEFAULT_MAX_LAYERS,
    ...(options.packageOf === undefined ? {} : { packageOf: options.packageOf }),
  });
  const onChunk = (bytes: number) => {
    options.signal?.throwIfAborted();
    options.onProgress?.(bytes);
  };
  const { compression } = options;
  const layers = await storeLayers(parts, sourceRoot, store, compression, nameOf.layer, onChunk);
  const created = creationTime(entries, options.epoch);
  const text = imageConfig(options.image ?? {}, platform, layers, created);
  const config = await store.put([text], nameOf.config);
  return { platform, layers, config };
}

function resultOf(
  { entries }: FileTree,
  { kind, path }: Destination,
  { platform, layers, config, manifest }: StoredImage,
  name: string | undefined,
): ExportResult {
  const parts = manifest === config ? [config, ...layers] : [manifest, config, ...layers];
  return {
    format: kind,
    path,
    digest: manifest.digest,
    size: parts.reduce((sum, { size }) => sum + size, 0),
    entries: entries.length,
    image: { name, platform, config: config.digest, layers },
  };
}

function* watched(chunks: Iterable<Buffer>, options: ExportOptions): Generator<Buffer> {
  for (const chunk of chunks) {
    options.signal?.throwIfAborted();
    options.onProgress?.(chunk.length);
    yield chunk;
  }
}

/** Discards a draft when the work on it fails. */
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
