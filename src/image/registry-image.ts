import type { Platform } from './platform.js';
import { RegistryClient, type RegistryOptions } from './registry/client.js';
import { parseRegistryName } from './registry/name.js';
import {
  type BlobSource,
  checkDigest,
  imageOf,
  notFound,
  type SourceImage,
} from './source-image.js';

const DOCUMENTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/**
 * Opens an image of a registry. What is asked for by its digest must have it; what a tag names is then
 * read by the digest that the registry gives.
 *
 * @param text `REGISTRY/NAME[:TAG][@DIGEST]`
 * @throws JailbuildError REGISTRY_FAILED, IMAGE_NOT_FOUND, IMAGE_INVALID
 */
export async function openRegistryImage(
  text: string,
  platform: Platform,
  options: RegistryOptions = {},
): Promise<SourceImage> {
  const name = parseRegistryName(text);
  const client = new RegistryClient(name, 'pull', options);
  const { where } = client;
  const wanted = name.digest ?? name.tag ?? 'latest';
  const answer = await client.request('GET', `manifests/${wanted}`, {
    headers: { accept: DOCUMENTS },
    accept: [200, 404],
  });
  if (answer.status === 404) {
    answer.body.resume();
    throw notFound(where, `has no image ${wanted}`);
  }
  const body = await client.text(answer);
  const { createHash } = await import('node:crypto');
  const found = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const digest = name.digest ?? found;
  const documents = new Map([[digest, body]]);
  const source: BlobSource = {
    where,
    async *open(blob) {
      checkDigest(blob, where);
      const known = documents.get(blob);
      if (known !== undefined) {
        yield known;
        return;
      }
      yield* fetchBlob(client, blob);
    },
  };
  const type = answer.headers['content-type']?.split(';')[0] ?? '';
  return imageOf(source, { digest, mediaType: type }, platform);
}

/** Manifests that an index names are no blobs of their repository. */
async function* fetchBlob(client: RegistryClient, digest: string): AsyncGenerator<Buffer> {
  const blob = await client.request('GET', `blobs/${digest}`, { accept: [200, 404] });
  if (blob.status === 200) {
    yield* blob.body as AsyncIterable<Buffer>;
    return;
  }
  blob.body.resume();
  const document = await client.request('GET', `manifests/${digest}`, {
    headers: { accept: DOCUMENTS },
    accept: [200, 404],
  });
  if (document.status === 404) {
    document.body.resume();
    throw notFound(client.where, `has no blob ${digest}`);
  }
  yield* document.body as AsyncIterable<Buffer>;
}
