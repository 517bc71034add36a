import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../errors.js';
import { blobName } from './blobs.js';
import { type Descriptor, INDEX_TYPE, json } from './descriptor.js';

/** The annotation for the name of an image in an index (OCI image spec, annotations.md). */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** The file that marks an image layout (OCI image spec, image-layout.md). */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT: Buffer = json({ imageLayoutVersion: '1.0.0' });
export const INDEX_FILE = 'index.json';

interface Index {
  readonly manifests: readonly Descriptor[];
}

/**
 * Returns the index of a layout with an image added, which replaces one of the same name.
 *
 * @param referrers what is attached to images, which has no name of its own
 */
export function indexWith(
  known: Index | undefined,
  { digest, size, mediaType, platform }: Descriptor,
  tag: string,
  referrers: readonly Descriptor[] = [],
): Buffer {
  const added = new Set(referrers.map((referrer) => referrer.digest));
  const others = (known?.manifests ?? []).filter(
    ({ annotations, digest: other }) =>
      annotations?.[REF_NAME] !== tag && (annotations?.[REF_NAME] || !added.has(other)),
  );
  const image = { mediaType, digest, size, annotations: { [REF_NAME]: tag }, platform };
  return json({
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    ...known,
    manifests: [...others, image, ...referrers],
  });
}

/**
 * Returns the images of a layout that a tag names: those of an index, or a single one.
 *
 * @throws JailbuildError CONFLICT if they cannot be read
 */
export function taggedImages(
  directory: string,
  known: Index | undefined,
  tag: string,
): readonly Descriptor[] {
  const named = (known?.manifests ?? []).filter(
    ({ annotations }) => annotations?.[REF_NAME] === tag,
  );
  return named.flatMap((item) => {
    const document = readBlob(directory, item.digest);
    if (item.mediaType === INDEX_TYPE) return document.manifests ?? [];
    const { annotations, ...image } = item;
    const { os, architecture, variant } = readBlob(directory, document.config?.digest ?? '');
    const platform = { os: os ?? '', architecture: architecture ?? '' };
    return [{ ...image, platform: { ...platform, ...(variant ? { variant } : {}) } }];
  });
}

interface Document {
  readonly manifests?: readonly Descriptor[];
  readonly config?: { readonly digest: string };
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
}

function readBlob(directory: string, digest: string): Document {
  try {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new SyntaxError('no digest');
    return JSON.parse(readFileSync(path.join(directory, blobName(digest)), 'utf8'));
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof SyntaxError)) throw error;
    const why = `${directory}: the image of this tag cannot be read, and so not added to`;
    throw new JailbuildError('CONFLICT', why, directory);
  }
}

/**
 * Reads the index of an existing image layout.
 *
 * @returns undefined if there is nothing at the path
 * @throws JailbuildError CONFLICT if there is something that is no image layout
 */
export function readIndex(directory: string): Index | undefined {
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    const layout = JSON.parse(readFileSync(path.join(directory, LAYOUT_FILE), 'utf8'));
    const index = JSON.parse(readFileSync(path.join(directory, INDEX_FILE), 'utf8'));
    if (layout.imageLayoutVersion === '1.0.0' && Array.isArray(index.manifests)) return index;
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof SyntaxError)) throw error;
  }
  throw new JailbuildError(
    'CONFLICT',
    `${directory}: exists and is not an OCI image layout`,
    directory,
  );
}
