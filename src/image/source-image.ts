import { createHash } from 'node:crypto';
import { JailbuildError } from '../errors.js';
import type { Platform } from './platform.js';

/** The part of an image configuration that defines how a container starts (OCI image spec, config.md). */
export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly Env?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
}

export interface SourceLayer {
  /** Digest of the stored form; undefined if the format has none. */
  readonly digest: string | undefined;
  /** Digest of the uncompressed archive. */
  readonly diffId: string;
  open(): AsyncIterable<Buffer>;
}

/** An image to unpack. */
export interface SourceImage {
  /** `sha256:HEX` of the configuration, which identifies the content of every layer. */
  readonly id: string;
  readonly platform: Platform;
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  readonly layers: readonly SourceLayer[];
}

/** Access to the parts of an image. */
export interface BlobSource {
  /** Names the source in messages. */
  readonly where: string;
  /** @throws JailbuildError IMAGE_INVALID if the blob does not exist */
  open(digest: string): AsyncIterable<Buffer>;
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly platform?: {
    readonly os?: string;
    readonly architecture?: string;
    readonly variant?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
}

const INDEX = /image\.index\.v1\+json$|manifest\.list\.v2\+json$/;
const MANIFEST = /image\.manifest\.v1\+json$|distribution\.manifest\.v2\+json$/;
const LAYER =
  /(image\.layer\.(nondistributable\.)?v1\.tar|image\.rootfs\.(foreign\.)?diff\.tar)([.+](gzip|zstd))?$/;
const REF_NAME = 'org.opencontainers.image.ref.name';
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** Maximum size of manifests and configurations; registries accept no more (distribution spec, "Pushing Manifests"). */
const MAX_DOCUMENT = 4 << 20;
const MAX_LAYERS = 512;
/** Maximum depth of nested indexes. */
const MAX_DEPTH = 4;

/**
 * Finds an image by name and platform in an index.
 *
 * @param index as text
 * @param name a tag; without it, the index must contain a single image
 * @throws JailbuildError IMAGE_NOT_FOUND, IMAGE_INVALID
 */
export async function imageOfIndex(
  source: BlobSource,
  index: string,
  name: string | undefined,
  platform: Platform,
): Promise<SourceImage> {
  const { where } = source;
  const all = descriptorsOf(index, where).filter(isImage);
  const named =
    name === undefined ? all : all.filter((item) => item.annotations?.[REF_NAME] === name);
  const names = [...new Set(all.map(({ annotations }) => annotations?.[REF_NAME]))].filter(Boolean);
  if (named.length === 0) {
    const there = names.length === 0 ? '' : `; it has ${names.join(', ')}`;
    throw notFound(where, `has no image ${name ?? ''}`.trimEnd() + there);
  }
  if (name === undefined && names.length > 1) {
    throw notFound(where, `has several images: name one of ${names.join(', ')}`);
  }
  // The only image of a layout is meant, whatever it is for.
  const [only] = named;
  const chosen = named.length === 1 && only ? only : choose(named, platform, where);
  return imageOf(source, chosen, platform, 0);
}

/** Reads the image that a descriptor refers to: a manifest, or an index of several platforms. */
export async function imageOf(
  source: BlobSource,
  { digest, mediaType = '' }: Pick<Descriptor, 'digest' | 'mediaType'>,
  platform: Platform,
  depth = 0,
): Promise<SourceImage> {
  const { where } = source;
  const text = await readDocument(source, digest);
  const document = parse(text, where);
  const type = typeof document.mediaType === 'string' ? document.mediaType : mediaType;
  if (INDEX.test(type) || (type === '' && Array.isArray(document.manifests))) {
    if (depth >= MAX_DEPTH) throw invalid(where, 'has indexes that are nested too deeply');
    const inner = choose(descriptorsOf(text, where).filter(isImage), platform, where);
    return imageOf(source, inner, platform, depth + 1);
  }
  if (document.schemaVersion === 1) {
    throw invalid(where, 'has a manifest of schema 1, which is not supported: push it again');
  }
  if (!MANIFEST.test(type) && type !== '') throw invalid(where, `has a manifest of type ${type}`);
  if (typeof document.config !== 'object' || document.config === null) {
    throw invalid(where, 'has a manifest without a configuration');
  }
  const config = descriptor(document.config, where);
  const layers = Array.isArray(document.layers) ? document.layers : [];
  const blobs = layers.map((layer) => descriptor(layer, where));
  const strange = blobs.find((blob) => !LAYER.test(blob.mediaType ?? ''));
  if (strange !== undefined) {
    throw invalid(where, `has a layer of type ${strange.mediaType}, which is not supported`);
  }
  const image = await readConfig(source, config.digest, blobs.length);
  return {
    ...image.facts,
    layers: blobs.map(({ digest: blob }, index) => ({
      digest: blob,
      diffId: image.diffIds[index] ?? '',
      open: () => source.open(blob),
    })),
  };
}

/** Reads a configuration and the layer digests in it. */
export async function readConfig(source: BlobSource, digest: string, layerCount: number) {
  const { where } = source;
  const document = parse(await readDocument(source, digest), where);
  const rootfs = document.rootfs as { diff_ids?: unknown } | undefined;
  const diffIds = Array.isArray(rootfs?.diff_ids) ? rootfs.diff_ids : [];
  if (layerCount > MAX_LAYERS) throw invalid(where, `has more than ${MAX_LAYERS} layers`);
  if (diffIds.length !== layerCount || !diffIds.every((id) => DIGEST.test(id))) {
    throw invalid(where, `has ${layerCount} layers and ${diffIds.length} digests of them`);
  }
  const { os, architecture, variant, author, config } = document as Record<string, string>;
  if (typeof os !== 'string' || typeof architecture !== 'string') {
    throw invalid(where, 'has a configuration without os and architecture');
  }
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  const facts = { id: digest, platform, author, config: (config ?? {}) as ContainerConfig };
  return { facts, diffIds: diffIds as string[] };
}

/** Yields a blob, and throws at its end if its digest does not match. */
export async function* verified(
  chunks: AsyncIterable<Buffer>,
  digest: string,
  where: string,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (found === digest) return;
  throw invalid(where, `the blob ${digest} is damaged: its content has the digest ${found}`);
}

/** Refuses a text that is not a digest of the supported algorithm, and so could name another file. */
export function checkDigest(digest: unknown, where: string): string {
  if (typeof digest === 'string' && DIGEST.test(digest)) return digest;
  throw invalid(where, `has a digest that is not sha256: ${JSON.stringify(digest)?.slice(0, 100)}`);
}

async function readDocument(source: BlobSource, digest: string): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of verified(source.open(digest), digest, source.where)) {
    size += part.length;
    if (size > MAX_DOCUMENT) throw invalid(source.where, `${digest} is too large for a document`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function parse(text: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  throw invalid(
    where,
    `has ${text.trimStart().startsWith('<') ? 'HTML' : 'text'} instead of a JSON document`,
  );
}

function descriptorsOf(index: string, where: string): Descriptor[] {
  const { manifests } = parse(index, where);
  if (!Array.isArray(manifests)) throw invalid(where, 'has an index without manifests');
  return manifests.map((item) => descriptor(item, where));
}

function descriptor(value: unknown, where: string): Descriptor {
  const item = (value ?? {}) as Descriptor;
  checkDigest(item.digest, where);
  return item;
}

/** Excludes attestations and artifacts that indexes list beside images. */
function isImage({ mediaType = '', artifactType, platform }: Descriptor): boolean {
  return (
    artifactType === undefined &&
    (INDEX.test(mediaType) || MANIFEST.test(mediaType)) &&
    platform?.architecture !== 'unknown'
  );
}

function choose(items: readonly Descriptor[], platform: Platform, where: string): Descriptor {
  const own = items.filter((item) => item.platform !== undefined);
  const fits = own.filter(
    ({ platform: of }) =>
      of?.os === platform.os &&
      of.architecture === platform.architecture &&
      (platform.variant === undefined || of.variant === platform.variant),
  );
  const [first] = fits.length > 0 ? fits : items.length === 1 && own.length <= 1 ? items : [];
  if (first !== undefined && (fits.length > 0 || first.platform === undefined)) return first;
  const there = own.map(({ platform: of }) =>
    [of?.os, of?.architecture, of?.variant].filter(Boolean).join('/'),
  );
  const wanted = [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
  throw notFound(
    where,
    `has no image for ${wanted}, but for ${there.join(', ')}: name one with --platform`,
  );
}

export function invalid(where: string, why: string): JailbuildError {
  return new JailbuildError('IMAGE_INVALID', `${where}: ${why}`, where);
}

export function notFound(where: string, why: string): JailbuildError {
  return new JailbuildError('IMAGE_NOT_FOUND', `${where}: ${why}`, where);
}
