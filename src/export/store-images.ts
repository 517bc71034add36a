import type { Platform } from '../image/platform.js';
import { platformName } from '../image/platform.js';
import type { Entry } from '../manifest/manifest.js';
import { refuseNonText } from '../manifest/only-text.js';
import { fileTotals, WorkMeter, type WorkProgress } from '../manifest/work.js';
import { type Blob, type BlobStore, blobName } from './blobs.js';
import type { CompressionChoice } from './compression.js';
import { type Descriptor, indexOf, MANIFEST_TYPE } from './descriptor.js';
import type { FileTree } from './file-tree.js';
import {
  type ImageOptions,
  imageConfig,
  imageManifest,
  type StoredLayer,
  storeLayers,
} from './image.js';
import { type LayerChoice, splitLayers } from './layers.js';
import { checkPlatform, platformOf } from './platform.js';
import { type Attachment, type StoredReferrer, storeReferrers } from './referrers.js';
import { creationTime } from './times.js';

/** Options of storing images. */
export interface StoreOptions {
  readonly image?: ImageOptions;
  /** The default is that of the programs. */
  readonly platform?: Platform;
  readonly layers?: LayerChoice;
  /** The maximum number of layers of an image. */
  readonly maxLayers?: number;
  /** Returns the package that owns an entry, for layers by package. */
  readonly packageOf?: (entry: Entry) => string | undefined;
  /** The default is gzip for layers and squashfs, and by file name for `tar` and `cpio`. */
  readonly compression?: CompressionChoice;
  /** The latest time to write, in nanoseconds since the epoch; later times are clamped. */
  readonly epoch?: bigint;
  /** Called with the number of bytes, before compression, written since the last call. */
  readonly onProgress?: (bytes: number) => void;
  /** Called while files are packed, and while blobs are pushed. */
  readonly onWork?: (progress: WorkProgress) => void;
  /** Returns the attachments of an image, given the digest of its manifest. */
  readonly attachmentsOf?: (digest: string) => readonly Attachment[];
  /** Aborts the export; partial output is removed. */
  readonly signal?: AbortSignal;
}

/** A stored image. */
export interface StoredImage {
  readonly platform: Platform;
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly StoredLayer[];
  readonly referrers: readonly StoredReferrer[];
}

/** Stored images, and the descriptor for the tag. */
export interface StoredImages {
  /** The only image, or an index of all of them. */
  readonly root: Descriptor;
  readonly images: readonly StoredImage[];
}

const DEFAULT_MAX_LAYERS = 64;

/**
 * Stores images, and an index if there are several.
 *
 * @param beside images for other platforms that are stored already and go into the index
 */
export async function storeImages(
  parts: Parameters<typeof storeEach>[0],
  store: BlobStore,
  beside: readonly Descriptor[] = [],
): Promise<StoredImages> {
  return uniteImages(await storeEach(parts, store), store, beside);
}

/** Stores the image of each platform. */
export async function storeEach(
  parts: readonly { readonly tree: FileTree; readonly options: StoreOptions }[],
  store: BlobStore,
): Promise<readonly StoredImage[]> {
  const images: StoredImage[] = [];
  for (const { tree, options } of parts) images.push(await storeImage(tree, store, options));
  return images;
}

/**
 * Stores an index of images where they are several.
 *
 * @param beside images for other platforms that are stored already and go into the index
 */
export async function uniteImages(
  images: readonly StoredImage[],
  store: BlobStore,
  beside: readonly Descriptor[] = [],
): Promise<StoredImages> {
  const own = images.map(descriptorOf);
  const nameOf = ({ platform }: Descriptor) => platformName(platform);
  const names = new Set(own.map(nameOf));
  const all = [...beside.filter((other) => !names.has(nameOf(other))), ...own];
  const [only, ...others] = all;
  if (only !== undefined && others.length === 0) return { root: only, images };
  const sorted = all.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const { mediaType, document } = indexOf(sorted.map(inOrder));
  return { root: { mediaType, ...(await store.put([document], blobName)) }, images };
}

/** Returns a descriptor with its members in a fixed order. */
function inOrder({ mediaType, digest, size, platform, ...rest }: Descriptor): Descriptor {
  const { architecture = '', os = '', ...more } = platform ?? {};
  const ordered = platform === undefined ? {} : { platform: { architecture, os, ...more } };
  return { mediaType, digest, size, ...ordered, ...rest };
}

/** Returns the descriptors of image attachments. */
export function referrersOf({ images }: StoredImages): readonly Descriptor[] {
  return images.flatMap(({ referrers }) => referrers.map(({ descriptor }) => descriptor));
}

export function descriptorOf({ manifest, platform }: Pick<StoredImage, 'manifest' | 'platform'>) {
  const { architecture, os, variant } = platform;
  const { digest, size } = manifest;
  const known = { architecture, os, ...(variant === undefined ? {} : { variant }) };
  return { mediaType: MANIFEST_TYPE, digest, size, platform: known } satisfies Descriptor;
}

async function storeImage(
  tree: FileTree,
  store: BlobStore,
  options: StoreOptions,
): Promise<StoredImage> {
  const compression = options.compression ?? { kind: 'gzip' };
  const stored = await storeLayersAndConfig(
    tree,
    store,
    { ...options, compression },
    { layer: blobName, config: blobName },
  );
  const { config, layers, platform } = stored;
  const text = imageManifest(config, layers, compression, options.image?.annotations);
  const manifest = await store.put([text], blobName);
  const subject = { mediaType: MANIFEST_TYPE, ...manifest };
  const attached = options.attachmentsOf?.(manifest.digest) ?? [];
  return {
    platform,
    config,
    layers,
    manifest,
    referrers: await storeReferrers(store, subject, attached),
  };
}

/** Stores the layers and the configuration of an image, named by digest. */
export async function storeLayersAndConfig(
  tree: FileTree,
  store: BlobStore,
  options: StoreOptions & { readonly compression: CompressionChoice },
  nameOf: Readonly<Record<'layer' | 'config', (digest: string) => string>>,
) {
  const { entries } = tree;
  if (options.platform !== undefined) checkPlatform(tree, options.platform);
  refuseNonText(options.image ?? {}, 'an option of the image');
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
  const { compression, onWork } = options;
  const { layer: nameOfLayer } = nameOf;
  const follow = { onChunk, meter: new WorkMeter('pack', fileTotals(entries), onWork) };
  const layers = await storeLayers(parts, tree, store, compression, nameOfLayer, follow);
  const created = creationTime(entries, options.epoch);
  const text = imageConfig(options.image ?? {}, platform, layers, created);
  const config = await store.put([text], nameOf.config);
  return { platform, layers, config };
}
