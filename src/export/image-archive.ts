import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { draftFile } from '../fs/draft.js';
import type { OutputFile } from '../fs/output-file.js';
import { BlobArchive, type BlobStore } from './blobs.js';
import { json } from './descriptor.js';
import type { Destination } from './destination.js';
import { drafted, openArchive, scratchDirectory } from './draft.js';
import { INDEX_FILE, indexWith, LAYOUT, LAYOUT_FILE } from './oci-layout.js';
import type { ExportOptions, ExportPart } from './options.js';
import { type ExportResult, imageResult, sizeOf } from './result.js';
import { referrersOf, storeImages, storeLayersAndConfig } from './store-images.js';
import { TAR_END } from './tar.js';
import { creationTime } from './times.js';

/** Writes images as an archive of an OCI layout, or as `docker save` does. */
export async function exportImageArchive(
  parts: readonly ExportPart[],
  destination: Extract<Destination, { kind: 'oci-archive' | 'docker-archive' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { kind, path: file } = destination;
  const entries = parts.flatMap(({ tree }) => tree.entries);
  const created = creationTime(entries, options.epoch);
  const write = async (draft: OutputFile): Promise<ExportResult> => {
    const store = new BlobArchive(draft, BigInt(created.getTime()) * 1_000_000n);
    const result = await (kind === 'oci-archive'
      ? storeLayout(parts, store, destination)
      : storeDockerArchive(parts, store, destination));
    await draft.append(TAR_END);
    draft.commit();
    return result;
  };
  return drafted(await openArchive(file, options.signal), async (output) => {
    if (output.isDraft) return write(output);
    // The headers of an archive's members are known only after their content.
    const { createReadStream } = await import('node:fs');
    const scratch = scratchDirectory();
    try {
      const staged = path.join(scratch.path, 'image.tar');
      const result = await drafted(draftFile(staged), write);
      for await (const chunk of createReadStream(staged)) await output.append(chunk as Buffer);
      output.commit();
      return result;
    } finally {
      scratch.remove();
    }
  });
}

async function storeLayout(
  parts: readonly ExportPart[],
  store: BlobStore,
  destination: Extract<Destination, { kind: 'oci-archive' }>,
): Promise<ExportResult> {
  const stored = await storeImages(parts, store);
  const index = indexWith(undefined, stored.root, destination.tag, referrersOf(stored));
  await store.put([index], () => INDEX_FILE);
  await store.put([LAYOUT], () => LAYOUT_FILE);
  return imageResult(parts, destination, stored, destination.tag);
}

/** Writes the format of `docker save`: layers, a configuration, and a list of images. */
async function storeDockerArchive(
  parts: readonly ExportPart[],
  store: BlobStore,
  destination: Extract<Destination, { kind: 'docker-archive' }>,
): Promise<ExportResult> {
  const [{ tree, options }] = parts as [ExportPart];
  if (options.compression !== undefined && options.compression.kind !== 'none') {
    throw new JailbuildError('USAGE', 'the layers of a docker-archive are not compressed');
  }
  const uncompressed = { ...options, compression: { kind: 'none' } } as const;
  const hex = (digest: string) => digest.slice(digest.indexOf(':') + 1);
  const { layers, platform, config } = await storeLayersAndConfig(tree, store, uncompressed, {
    layer: (digest) => `${hex(digest)}.tar`,
    config: (digest) => `${hex(digest)}.json`,
  });
  const list = json([
    {
      Config: `${hex(config.digest)}.json`,
      RepoTags: destination.ref === undefined ? [] : [destination.ref],
      Layers: layers.map(({ digest }) => `${hex(digest)}.tar`),
    },
  ]);
  await store.put([list], () => 'manifest.json');
  return {
    format: destination.kind,
    path: destination.path,
    digest: config.digest,
    size: sizeOf([config, ...layers]),
    entries: tree.entries.length,
    image: { name: destination.ref, platform, config: config.digest, layers },
  };
}
