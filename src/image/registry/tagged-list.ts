import type { RegistryClient } from './client.js';

/**
 * Reads a list from the manifest under a tag.
 *
 * @param mediaType of the manifest
 * @param member name of the list in it
 * @param what names the list in messages
 * @returns no items if the tag does not exist
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function taggedList<Item>(
  client: RegistryClient,
  tag: string,
  mediaType: string,
  member: string,
  what: string,
): Promise<readonly Item[]> {
  const answer = await client.request('GET', `manifests/${tag}`, {
    headers: { accept: mediaType },
    accept: [200, 404],
  });
  const text = (await client.text(answer)).toString();
  if (answer.status === 404) return [];
  try {
    const { [member]: items } = JSON.parse(text) as Record<string, unknown>;
    if (Array.isArray(items)) return items;
  } catch {
    // Reported below.
  }
  throw client.failed(`has something other than a ${what} under the tag ${tag}: remove that tag`);
}
