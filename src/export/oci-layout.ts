import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../errors.js';
import type { Platform } from '../image/platform.js';
import type { Blob } from './blobs.js';
import { json, MANIFEST_TYPE } from './image.js';

/** The name by which an index knows an image (OCI image spec, annotations.md). */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** What a directory has to be an image layout (OCI image spec, image-layout.md). */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT: Buffer = json({ imageLayoutVersion: '1.0.0' });
export const INDEX_FILE = 'index.json';

interface Descriptor {
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

/** The index of a layout with an image in it, in the place of one that had the same name. */
export function indexWith(
  known: Index | undefined,
  manifest: Blob,
  tag: string,
  platform: Platform,
): Buffer {
  const others = (known?.manifests ?? []).filter(
    ({ annotations }) => annotations?.[REF_NAME] !== tag,
  );
  const { architecture, os, variant } = platform;
  return json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    ...known,
    manifests: [
      ...others,
      {
        mediaType: MANIFEST_TYPE,
        digest: manifest.digest,
        size: manifest.size,
        annotations: { [REF_NAME]: tag },
        platform: { architecture, os, variant },
      },
    ],
  });
}

/**
 * The index of an image layout that exists.
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
