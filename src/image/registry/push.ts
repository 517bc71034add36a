import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import type { JailbuildError } from '../../errors.js';
import type { RegistryAnswer } from './answer.js';
import { ATTEMPTS, type RegistryClient } from './client.js';
import type { SentRequest } from './connections.js';
import { BrokenConnection } from './failures.js';
import { KnownBlobs } from './known-blobs.js';

/** Size of one upload request in bytes; at most this much is resent after a broken connection. */
const CHUNK = 16 << 20;
/** Statuses of an overloaded or restarting registry, and of one that has lost an upload. */
const PASSING = [404, 408, 416, 429, 500, 502, 503, 504];

/** A blob stored in a file. */
export interface BlobFile {
  readonly digest: string;
  readonly file: string;
}

/** Pushes small blobs and the manifest that references them. */
export async function pushContent(
  client: RegistryClient,
  blobs: readonly Buffer[],
  manifest: Buffer,
  mediaType: string,
  reference: string,
): Promise<void> {
  for (const blob of blobs) {
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    if (await isThere(client, digest)) continue;
    const upload = await begin(client);
    upload.searchParams.set('digest', digest);
    const answer = await client.request('PUT', upload, {
      headers: { 'content-type': 'application/octet-stream' },
      body: blob,
      accept: [201],
    });
    answer.body.resume();
  }
  const answer = await client.request('PUT', `manifests/${reference}`, {
    headers: { 'content-type': mediaType },
    body: manifest,
    accept: [201],
  });
  answer.body.resume();
}

/** A manifest or an index stored in a file. */
export interface ManifestFile extends BlobFile {
  readonly mediaType: string;
}

/**
 * Pushes the blobs of an image (OCI distribution spec 1.1, "Push"). Skips blobs that the registry has, mounts those of
 * its other repositories, and resumes interrupted uploads where the registry reports that they ended.
 *
 * @param onBytes called with the bytes of blobs that are newly sent, each once even if it is sent again
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function pushBlobs(
  client: RegistryClient,
  blobs: readonly BlobFile[],
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  const known = new KnownBlobs(client.name);
  for (const blob of blobs) {
    await pushBlob(client, blob, known.repositoriesOf(blob.digest), onBytes);
    known.add(blob.digest);
  }
}

/**
 * Pushes a manifest whose blobs are already present.
 *
 * @param reference a tag or the digest
 * @returns whether the registry supports the referrers API
 */
export async function pushManifest(
  client: RegistryClient,
  { file, mediaType }: ManifestFile,
  reference: string,
): Promise<{ readonly hasReferrers: boolean }> {
  const answer = await client.request('PUT', `manifests/${reference}`, {
    headers: { 'content-type': mediaType },
    body: readFileSync(file),
    accept: [201],
  });
  answer.body.resume();
  return { hasReferrers: answer.headers['oci-subject'] !== undefined };
}

async function pushBlob(
  client: RegistryClient,
  blob: BlobFile,
  repositories: readonly string[],
  onBytes: (count: number) => void,
): Promise<void> {
  if (await isThere(client, blob.digest)) return;
  let location: URL | undefined;
  for (const from of repositories) {
    const mounted = await mount(client, blob.digest, from);
    if (mounted === true) return;
    if (mounted !== undefined) location = mounted;
  }
  const fd = openSync(blob.file, 'r');
  try {
    let sent = 0;
    const onSent = (bytes: number) => {
      if (bytes > sent) onBytes(bytes - sent);
      sent = Math.max(sent, bytes);
    };
    await upload(client, blob, fd, location ?? (await begin(client)), onSent);
  } finally {
    closeSync(fd);
  }
}

async function isThere(client: RegistryClient, digest: string): Promise<boolean> {
  const answer = await client.request('HEAD', `blobs/${digest}`, { accept: [200, 404] });
  answer.body.resume();
  return answer.status === 200;
}

/** @returns true if mounted, or the upload that the registry began instead; undefined if it did neither */
async function mount(
  client: RegistryClient,
  digest: string,
  from: string,
): Promise<true | URL | undefined> {
  const query = new URLSearchParams({ mount: digest, from });
  try {
    const answer = await client.request('POST', `blobs/uploads/?${query}`, {
      accept: [201, 202, 400, 403, 404, 405],
    });
    answer.body.resume();
    if (answer.status === 201) return true;
    return answer.status === 202 ? client.locationOf(answer) : undefined;
  } catch (error) {
    // The credentials may not cover the other repository.
    if ((error as JailbuildError).code === 'REGISTRY_FAILED') return undefined;
    throw error;
  }
}

async function upload(
  client: RegistryClient,
  { digest, file }: BlobFile,
  fd: number,
  start: URL,
  onSent: (bytes: number) => void,
): Promise<void> {
  const size = statSync(file).size;
  let location = start;
  let at = 0;
  for (let failures = 0; ; ) {
    const isLast = at === size;
    const body = Buffer.alloc(Math.min(CHUNK, size - at));
    readSync(fd, body, 0, body.length, at);
    const answer = await (isLast
      ? finish(client, location, digest)
      : send(client, location, at, body, onSent));
    if (answer?.status === 201) return;
    if (answer?.status === 202) {
      location = client.locationOf(answer);
      at += body.length;
      failures = 0;
      continue;
    }
    if (++failures === ATTEMPTS) {
      const why = answer === undefined ? 'the connection broke' : `it answered ${answer.status}`;
      throw client.failed(`does not accept the rest of the blob ${digest}: ${why}`);
    }
    await client.pause(failures, Number(answer?.headers['retry-after']));
    // The response may have been lost after the request succeeded.
    if (isLast && (await isThere(client, digest))) return;
    const resumed = await whereItEnded(client, location);
    at = resumed?.at ?? 0;
    location = resumed?.location ?? (await begin(client));
  }
}

/** Sends bytes; returns undefined if the connection broke. */
function send(
  client: RegistryClient,
  location: URL,
  at: number,
  body: Buffer,
  onSent: (bytes: number) => void,
): Promise<RegistryAnswer | undefined> {
  const headers = {
    'content-type': 'application/octet-stream',
    'content-range': `${at}-${at + body.length - 1}`,
  };
  const request = { headers, body, onSent: (bytes: number) => onSent(at + bytes) };
  return once(client, 'PATCH', location, request, 202);
}

function finish(
  client: RegistryClient,
  location: URL,
  digest: string,
): Promise<RegistryAnswer | undefined> {
  const last = new URL(location);
  last.searchParams.set('digest', digest);
  return once(client, 'PUT', last, {}, 201);
}

async function once(
  client: RegistryClient,
  method: string,
  location: URL,
  request: Partial<SentRequest>,
  done: number,
): Promise<RegistryAnswer | undefined> {
  try {
    const accept = [done, ...PASSING];
    const answer = await client.request(method, location, {
      ...request,
      accept,
      isRepeatable: false,
    });
    answer.body.resume();
    return answer;
  } catch (error) {
    if (error instanceof BrokenConnection) return undefined;
    throw error;
  }
}

/** Returns how much of an upload the registry has; undefined if it no longer knows the upload. */
async function whereItEnded(
  client: RegistryClient,
  location: URL,
): Promise<{ readonly at: number; readonly location: URL } | undefined> {
  const status = await client.request('GET', location, { accept: [204, 400, 404, 416] });
  status.body.resume();
  if (status.status !== 204) return undefined;
  // The range is the same for one byte and for none.
  const end = Number(/^(?:bytes=)?0-(\d+)$/.exec(status.headers.range ?? '')?.[1] ?? 0);
  const next = status.headers.location === undefined ? location : client.locationOf(status);
  return { at: end === 0 ? 0 : end + 1, location: next };
}

async function begin(client: RegistryClient): Promise<URL> {
  const answer = await client.request('POST', 'blobs/uploads/', { accept: [202] });
  answer.body.resume();
  return client.locationOf(answer);
}
