import type { Platform } from './platform.js';
import type { RegistryOptions } from './registry/access.js';
import { ATTEMPTS, RegistryClient } from './registry/client.js';
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
 * Opens an image in a registry. An image requested by digest must match it; a tag is resolved to the digest that the
 * registry returns.
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

/**
 * Yields a blob, resuming after a broken connection. Manifests listed in an index are not blobs and have another URL.
 */
async function* fetchBlob(client: RegistryClient, digest: string): AsyncGenerator<Buffer> {
  let target = `blobs/${digest}`;
  for (let at = 0, failures = 0; ; ) {
    const headers = {
      ...(target.startsWith('blobs') ? {} : { accept: DOCUMENTS }),
      ...(at === 0 ? {} : { range: `bytes=${at}-` }),
    };
    const answer = await client.request('GET', target, { headers, accept: [200, 206, 404] });
    if (answer.status === 404) {
      answer.body.resume();
      if (!target.startsWith('blobs')) throw notFound(client.where, `has no blob ${digest}`);
      target = `manifests/${digest}`;
      continue;
    }
    let over = answer.status === 206 ? 0 : at;
    const before = at;
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        const rest = chunk.subarray(over);
        over -= chunk.length - rest.length;
        at += rest.length;
        if (rest.length > 0) yield rest;
      }
      return;
    } catch (error) {
      failures = at > before ? 1 : failures + 1;
      if (failures === ATTEMPTS)
        throw client.failed(`closed the connection within the blob ${digest}`, error);
      await client.pause(failures);
    }
  }
}
