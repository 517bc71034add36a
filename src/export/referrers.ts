import { type Blob, type BlobStore, blobName } from './blobs.js';
import { type Descriptor, json, MANIFEST_TYPE } from './descriptor.js';

/** A document about an image, such as its bill of materials. */
export interface Attachment {
  /** The media type of the document. */
  readonly artifactType: string;
  readonly content: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An attachment, for reports. */
export interface Referrer {
  readonly artifactType: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** Digest of the image that it describes. */
  readonly subject: string;
}

export interface StoredReferrer {
  readonly referrer: Referrer;
  /** Of its manifest, as the list of an image's referrers has it. */
  readonly descriptor: Descriptor;
  readonly blobs: readonly Blob[];
}

/** The configuration of an artifact that has none (OCI image spec, "Guidance for an Empty Descriptor"). */
const EMPTY = Buffer.from('{}');
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';

/**
 * Stores documents as artifacts that refer to an image: manifests with a `subject` and an `artifactType`
 * (OCI image spec 1.1, "Guidelines for Artifact Usage").
 */
export async function storeReferrers(
  store: BlobStore,
  { mediaType, digest, size }: Descriptor,
  attachments: readonly Attachment[],
): Promise<StoredReferrer[]> {
  const stored: StoredReferrer[] = [];
  for (const { artifactType, content, annotations } of attachments) {
    const config = await store.put([EMPTY], blobName);
    const document = await store.put([content], blobName);
    const text = json({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType,
      config: { mediaType: EMPTY_TYPE, ...config },
      layers: [{ mediaType: artifactType, ...document }],
      subject: { mediaType, digest, size },
      annotations,
    });
    const manifest = await store.put([text], blobName);
    stored.push({
      referrer: { artifactType, digest: manifest.digest, subject: digest },
      descriptor: {
        mediaType: MANIFEST_TYPE,
        ...manifest,
        artifactType,
        ...(annotations === undefined ? {} : { annotations }),
      },
      blobs: [config, document],
    });
  }
  return stored;
}
