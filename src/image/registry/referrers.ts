import { ATTEMPTS, type RegistryClient } from './client.js';

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

interface Listed {
  readonly digest: string;
}

/**
 * Adds to the list of what refers to an image, which is an index under a tag made of its digest (OCI
 * distribution spec 1.1, "Referrers Tag Schema"). Two that add at the same time may lose one of them, as
 * the specification says; the list is read back, and added to again.
 *
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function addReferrers(
  client: RegistryClient,
  subject: string,
  referrers: readonly Listed[],
): Promise<void> {
  const tag = subject.replace(':', '-');
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const known = await listed(client, tag);
    const missing = referrers.filter((own) => !known.some(({ digest }) => digest === own.digest));
    if (missing.length === 0) return;
    const manifests = [...known, ...missing];
    const document = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests };
    const answer = await client.request('PUT', `manifests/${tag}`, {
      headers: { 'content-type': INDEX_TYPE },
      body: Buffer.from(JSON.stringify(document)),
      accept: [201],
    });
    answer.body.resume();
  }
}

async function listed(client: RegistryClient, tag: string): Promise<readonly Listed[]> {
  const answer = await client.request('GET', `manifests/${tag}`, {
    headers: { accept: INDEX_TYPE },
    accept: [200, 404],
  });
  const text = (await client.text(answer)).toString();
  if (answer.status === 404) return [];
  try {
    const { manifests } = JSON.parse(text) as { manifests?: readonly Listed[] };
    if (Array.isArray(manifests)) return manifests;
  } catch {
    // Told below.
  }
  throw client.failed(`has something else than a list of referrers under the tag ${tag}`);
}
