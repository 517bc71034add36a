import type { RegistryClient } from './client.js';

const INDEXES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** An image named by a tag, for one platform. */
export interface TaggedImage {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string;
  };
}

/**
 * Returns the images named by a tag of the repository: all of an index, or a single one with the platform of its
 * configuration; none if the tag does not exist.
 *
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function imagesOfTag(client: RegistryClient): Promise<readonly TaggedImage[]> {
  const tag = client.name.tag ?? client.name.digest;
  const answer = await client.request('GET', `manifests/${tag}`, {
    headers: { accept: [...INDEXES, ...MANIFESTS].join(', ') },
    accept: [200, 404],
  });
  const body = await client.text(answer);
  if (answer.status === 404) return [];
  const mediaType = answer.headers['content-type']?.split(';')[0] ?? '';
  const document = parse(client, body) as {
    readonly manifests?: readonly TaggedImage[];
    readonly config?: { readonly digest: string };
  };
  if (INDEXES.includes(mediaType)) return document.manifests ?? [];
  if (!MANIFESTS.includes(mediaType) || document.config === undefined) {
    throw client.failed(`has a manifest of type ${mediaType} under the tag ${tag}`);
  }
  const config = await client.request('GET', `blobs/${document.config.digest}`, { accept: [200] });
  const { os, architecture, variant } = parse(client, await client.text(config)) as Record<
    'os' | 'architecture' | 'variant',
    string
  >;
  const { createHash } = await import('node:crypto');
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  const platform = { os, architecture, ...(variant ? { variant } : {}) };
  return [{ mediaType, digest, size: body.length, platform }];
}

function parse(client: RegistryClient, body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Reported below.
  }
  throw client.failed('answered with something other than JSON');
}
