import path from 'node:path';
import { BlobDirectory, blobName } from './blobs.js';
import type { Destination } from './destination.js';
import { scratchDirectory } from './draft.js';
import type { ExportOptions, ExportPart } from './options.js';
import { type ExportResult, imageResult } from './result.js';
import { storeImages } from './store-images.js';

/** Pushes images to a registry. Stores layers first, so that an interrupted upload can be resumed. */
export async function exportToRegistry(
  parts: readonly ExportPart[],
  { kind, path: name }: Extract<Destination, { kind: 'docker' }>,
  { signal, registry, append, signingKey }: ExportOptions,
): Promise<ExportResult> {
  const { RegistryClient } = await import('../image/registry/client.js');
  const { parseRegistryName } = await import('../image/registry/name.js');
  const { pushToRegistry } = await import('./push.js');
  const { imagesOfTag } = await import('../image/registry/tagged-images.js');
  const settings = { ...registry, ...(signal === undefined ? {} : { signal }) };
  const client = new RegistryClient(parseRegistryName(name), 'pull,push', settings);
  const scratch = scratchDirectory();
  try {
    const beside = append ? await imagesOfTag(client) : [];
    const stored = await storeImages(parts, new BlobDirectory(scratch.path), beside);
    const fileOf = (digest: string) => path.join(scratch.path, blobName(digest));
    await pushToRegistry(client, stored, fileOf, parts[0]?.options.onWork);
    if (signingKey !== undefined) {
      const { signImages } = await import('./signature.js');
      const digests = new Set([
        ...stored.images.map(({ manifest }) => manifest.digest),
        stored.root.digest,
      ]);
      await signImages(client, [...digests], signingKey);
    }
    return imageResult(parts, { kind, path: name }, stored, undefined);
  } finally {
    client.close();
    scratch.remove();
  }
}
