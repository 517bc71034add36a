import { ATTEMPTS, type RegistryClient } from './client.js';
import { taggedList } from './tagged-list.js';

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const LIST = 'list of referrers';

interface Listed {
  readonly digest: string;
}

/**
 * Adds to the list of manifests that refer to an image: an index under a tag derived from the image's digest (OCI
 * distribution spec 1.1, "Referrers Tag Schema"). Concurrent additions may overwrite one another, as the specification
 * notes, so the list is read back and the addition repeated if it is missing.
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
    const known = await taggedList<Listed>(client, tag, INDEX_TYPE, 'manifests', LIST);
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
