import { createHash } from 'node:crypto';
import type { Platform } from '../image/platform.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import type { WorkMeter } from '../manifest/work.js';
import { type Blob, type BlobStore, blobName } from './blobs.js';
import { type CompressionChoice, compress } from './compression.js';
import { json, MANIFEST_TYPE } from './descriptor.js';
import type { FileTree } from './file-tree.js';
import type { Layer } from './layers.js';
import { tar } from './tar.js';
import { rfc3339 } from './times.js';

/** How a container made from an image starts (OCI image spec, config.md). */
export interface ImageOptions {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** `NAME=VALUE`. */
  readonly env?: readonly string[];
  /** User and optional group, by name or number: `www-data:www-data`. */
  readonly user?: string;
  readonly workdir?: string;
  /** Such as `80/tcp`. */
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  /** Such as `SIGTERM`. */
  readonly stopSignal?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Annotations of the image's manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly author?: string;
}

/** The default PATH of container engines. */
const DEFAULT_PATH = `PATH=${STANDARD_PATH.join(':')}`;

/** A stored layer. */
export interface StoredLayer extends Blob {
  readonly name: string;
  /** The digest of the archive before it was compressed. */
  readonly diffId: string;
  /** Bytes before compression. */
  readonly uncompressedSize: number;
  readonly entries: number;
}

/** Stores each layer as a compressed tar archive. */
export async function storeLayers(
  layers: readonly Layer[],
  content: Omit<FileTree, 'entries'>,
  store: BlobStore,
  compression: CompressionChoice,
  nameOf: (digest: string) => string = blobName,
  { onChunk, meter }: { onChunk?: (bytes: number) => void; meter?: WorkMeter } = {},
): Promise<StoredLayer[]> {
  const stored: StoredLayer[] = [];
  for (const { name, entries } of layers) {
    const hash = createHash('sha256');
    let uncompressedSize = 0;
    const hashed = function* () {
      for (const chunk of tar({ ...content, entries }, meter, { hash })) {
        uncompressedSize += chunk.length;
        onChunk?.(chunk.length);
        yield chunk;
      }
    };
    const blob = await store.put(compress(hashed(), compression), nameOf);
    const diffId = `sha256:${hash.digest('hex')}`;
    stored.push({ name, ...blob, diffId, uncompressedSize, entries: entries.length });
  }
  return stored;
}

/**
 * Returns the image's configuration as JSON, with its keys in a fixed order and nothing of the machine.
 */
export function imageConfig(
  options: ImageOptions,
  platform: Platform,
  layers: readonly StoredLayer[],
  created: Date,
): Buffer {
  const { entrypoint, cmd, user, workdir, stopSignal, labels, author, env = [] } = options;
  const path = env.some((variable) => variable.startsWith('PATH=')) ? [] : [DEFAULT_PATH];
  const time = rfc3339(created);
  return json({
    created: time,
    author,
    architecture: platform.architecture,
    variant: platform.variant,
    os: platform.os,
    config: {
      User: user,
      ExposedPorts: setOf(options.ports),
      Env: [...path, ...env],
      Entrypoint: entrypoint,
      Cmd: cmd,
      Volumes: setOf(options.volumes),
      WorkingDir: workdir,
      Labels: sorted(labels),
      StopSignal: stopSignal,
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ name }) => ({ created: time, created_by: `jailbuild: ${name}` })),
  });
}

const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

/** Returns the image's manifest (OCI image spec, manifest.md). */
export function imageManifest(
  config: Blob,
  layers: readonly StoredLayer[],
  compression: CompressionChoice,
  annotations?: Readonly<Record<string, string>>,
): Buffer {
  const suffix = compression.kind === 'none' ? '' : `+${compression.kind}`;
  return json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...descriptor(config) },
    layers: layers.map((layer) => ({ mediaType: LAYER_TYPE + suffix, ...descriptor(layer) })),
    annotations: sorted(annotations),
  });
}

function descriptor({ digest, size }: Blob): Blob {
  return { digest, size };
}

/** Converts a list to a set of the format: an object with empty values. */
function setOf(names: readonly string[] | undefined): Record<string, object> | undefined {
  if (names === undefined || names.length === 0) return undefined;
  return Object.fromEntries([...names].sort().map((name) => [name, {}]));
}

function sorted(
  record: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  const members = Object.entries(record ?? {});
  if (members.length === 0) return undefined;
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}
