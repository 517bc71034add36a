import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { JailbuildError } from '../../errors.js';
import type { RegistryAnswer, RegistryClient } from './client.js';

/** Bytes of one request: what is sent again at most when a connection breaks. */
const CHUNK = 16 << 20;
/** Failures in a row before an upload is given up. */
const ATTEMPTS = 6;
const FIRST_DELAY = 500;

/** A blob as a file. */
export interface BlobFile {
  readonly digest: string;
  readonly file: string;
}

/**
 * Pushes an image (OCI distribution spec 1.1, "Push"): blobs that the registry has are skipped, an upload
 * that broke off goes on where the registry says that it ended, and the manifest comes last.
 *
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function pushImage(
  client: RegistryClient,
  blobs: readonly BlobFile[],
  manifest: BlobFile & { readonly mediaType: string },
): Promise<void> {
  for (const blob of blobs) await pushBlob(client, blob);
  const { tag } = client.name;
  const answer = await client.request('PUT', `manifests/${tag ?? manifest.digest}`, {
    headers: { 'content-type': manifest.mediaType },
    body: readFileSync(manifest.file),
    accept: [201],
  });
  answer.body.resume();
}

async function pushBlob(client: RegistryClient, { digest, file }: BlobFile): Promise<void> {
  const known = await client.request('HEAD', `blobs/${digest}`, { accept: [200, 404] });
  known.body.resume();
  if (known.status === 200) return;
  const size = statSync(file).size;
  const fd = openSync(file, 'r');
  try {
    let location = await begin(client);
    let failures = 0;
    for (let at = 0; at < size; ) {
      const body = Buffer.alloc(Math.min(CHUNK, size - at));
      readSync(fd, body, 0, body.length, at);
      try {
        const headers = {
          'content-type': 'application/octet-stream',
          'content-range': `${at}-${at + body.length - 1}`,
        };
        const answer = await client.request('PATCH', location, {
          ...{ headers, body, accept: [202], isRepeatable: false },
        });
        location = locationAfter(client, answer);
        at += body.length;
        failures = 0;
      } catch (error) {
        if (!(error instanceof JailbuildError) || ++failures === ATTEMPTS) throw error;
        await sleep(FIRST_DELAY * 2 ** (failures - 1));
        const status = await client.request('GET', location, { accept: [204, 404] });
        status.body.resume();
        if (status.status === 404) {
          location = await begin(client);
          at = 0;
        } else {
          const end = /^0-(\d+)$/.exec(status.headers.range ?? '')?.[1];
          at = end === undefined || Number(end) === 0 ? 0 : Number(end) + 1;
          if (status.headers.location !== undefined) location = client.locationOf(status);
        }
      }
    }
    const last = new URL(location);
    last.searchParams.set('digest', digest);
    const done = await client.request('PUT', last, { accept: [201] });
    done.body.resume();
  } finally {
    closeSync(fd);
  }
}

async function begin(client: RegistryClient): Promise<URL> {
  const answer = await client.request('POST', 'blobs/uploads/', { accept: [202] });
  return locationAfter(client, answer);
}

function locationAfter(client: RegistryClient, answer: RegistryAnswer): URL {
  answer.body.resume();
  return client.locationOf(answer);
}
