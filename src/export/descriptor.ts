import type { Platform } from '../image/platform.js';

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** The descriptor of a blob in a manifest or an index (OCI image spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

/** Returns an index of these descriptors (OCI image spec, image-index.md). */
export function indexOf(manifests: readonly Descriptor[]) {
  const document = json({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
  return { mediaType: INDEX_TYPE, document };
}

/** JSON values of the image formats; undefined members are omitted. */
export function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
