import type { Platform } from '../image/platform.js';
import type { Blob } from './blobs.js';
import type { Destination, ExportFormat } from './destination.js';
import type { StoredLayer } from './image.js';
import type { ExportPart } from './options.js';
import type { Referrer } from './referrers.js';
import type { StoredImages } from './store-images.js';
import type { Verity } from './verity.js';

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

/** The result of an export that may have skipped its digest. */
export type WrittenExport = Omit<ExportResult, 'digest'> & Partial<Pick<ExportResult, 'digest'>>;

/** Returns the result of an export that was not to skip its digest. */
export function digested(written: WrittenExport): ExportResult {
  const { digest } = written;
  if (digest === undefined) throw new Error('the digest was skipped');
  return { ...written, digest };
}

/** One image of an index. */
export interface ExportedImage {
  readonly platform: Platform;
  readonly digest: string;
  readonly config: string;
  readonly layers: readonly StoredLayer[];
}

/**
 * Returns the result of an export of images.
 *
 * @param name the tag, if the form has one
 */
export function imageResult(
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

/** Returns the sum of the sizes of blobs in bytes. */
export function sizeOf(blobs: readonly Blob[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}
