import type { CompressionChoice } from '../export/compression.js';
import { parseDestination } from '../export/destination.js';
import {
  type ExportResult,
  exportTree,
  type ExportOptions as TreeOptions,
} from '../export/export.js';
import type { ImageOptions } from '../export/image.js';
import { withImageDefaults } from '../export/image-defaults.js';
import { unknownNames } from '../export/image-user.js';
import { type LayerChoice, MAX_LAYERS } from '../export/layers.js';
import { entryPackages } from '../export/packages.js';
import { jailTree, manifestTree, requestTree, type SourceTree } from '../export/source.js';
import { sourceDateEpoch } from '../export/times.js';
import { parsePlatform } from '../image/platform.js';
import {
  absolute,
  type Checks,
  checked,
  checkRequest,
  oneOf,
  text,
  texts,
} from '../manifest/check-request.js';
import { Field } from '../manifest/json-field.js';
import { describePrivileged } from '../manifest/privileged-files.js';
import type { ResolveRequest } from '../manifest/request.js';
import { abortSignal, callback, checkOptions, checkPath, flag } from './options.js';

/** The source of an export: a jail as it is, a request to resolve, or a manifest. */
export type ExportSource =
  | { readonly jail: string }
  | { readonly request: ResolveRequest }
  | {
      /** The path of the manifest. */
      readonly manifest: string;
      /** The directory that contains its sources. The default is `/`. */
      readonly sysroot?: string;
    };

/** Options of `exportRoot`. */
export interface ExportOptions {
  /** How containers made from an image start. */
  readonly image?: ImageOptions;
  /** How files are distributed over the layers of an image. The default is `single`. */
  readonly layers?: LayerChoice;
  /** The maximum number of layers of an image, 2 to 127. The default is 64. */
  readonly maxLayers?: number;
  /**
   * The default is gzip for image layers and squashfs, and follows the file's name for `tar` and
   * `cpio`.
   */
  readonly compression?: CompressionChoice;
  /** Whether to write a dm-verity hash tree beside a disk image. */
  readonly verity?: boolean;
  /**
   * The latest time of any entry, in nanoseconds since the epoch; later times are reduced to it.
   * The default is SOURCE_DATE_EPOCH.
   */
  readonly epoch?: bigint;
  /** Called with the number of uncompressed bytes written since the last call. */
  readonly onProgress?: (bytes: number) => void;
  /** Ends the export and removes what it wrote. */
  readonly signal?: AbortSignal;
  /** For example `linux/arm64` or `linux/arm/v7`. The default is the platform of the programs. */
  readonly platform?: string;
  /** Export even if libraries of a request or manifest are missing. */
  readonly allowMissing?: boolean;
}

/** The result of an export. */
export interface ExportedRoot extends ExportResult {
  readonly warnings: readonly string[];
}

const IMAGE: Checks<ImageOptions> = {
  entrypoint: texts,
  cmd: texts,
  env: (field) => field.items().map((item) => item.matching(/^[^=\0]+=[^\0]*$/, 'NAME=VALUE')),
  user: text,
  workdir: absolute,
  ports: (field) =>
    field.items().map((item) => item.matching(/^\d{1,5}\/(tcp|udp|sctp)$/, 'PORT/tcp or PORT/udp')),
  volumes: (field) => field.items().map(absolute),
  stopSignal: (field) => field.matching(/^(SIG[A-Z0-9+-]+|\d{1,2})$/, 'a signal, such as SIGTERM'),
  labels: words,
  annotations: words,
  author: text,
};

const OPTIONS: Checks<ExportOptions> = {
  image: (field) => checked(field, IMAGE),
  platform: text,
  layers: oneOf('single', 'by-package', 'by-library'),
  maxLayers: (field) => field.integer(2, MAX_LAYERS),
  compression: (field) =>
    checked(
      field,
      { kind: oneOf('none', 'gzip', 'zstd'), level: (level) => level.integer(1, 19) },
      ['kind'],
    ),
  verity: flag,
  epoch: (field) =>
    typeof field.value === 'bigint' ? field.value : field.refuse('is not a bigint of nanoseconds'),
  onProgress: callback<(bytes: number) => void>,
  signal: abortSignal,
  allowMissing: flag,
};

/** The members of all kinds of sources. */
interface AnySource {
  readonly jail?: string;
  readonly request?: ResolveRequest;
  readonly manifest?: string;
  readonly sysroot?: string;
}

const SOURCE: Checks<AnySource> = {
  jail: text,
  request: ({ value }) => checkRequest(value),
  manifest: text,
  sysroot: text,
};

/**
 * Writes a root file system as an image or an archive, with the defaults of `jailbuild export`, and
 * verifies it as a build verifies its jail. Output appears complete or not at all.
 *
 * @param to the destination: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
 *   `docker-archive:FILE[:REF]`, `docker://NAME[:TAG]`, `tar:FILE`, `cpio:FILE`, `squashfs:FILE`,
 *   `erofs:FILE` or `ext4:FILE[:SIZE]`
 * @throws JailbuildError USAGE, VERIFY_FAILED, NOT_EXPORTABLE, PLATFORM_UNKNOWN, WRITE_FAILED and
 *   others
 * @throws the reason of `signal`
 */
export async function exportRoot(
  source: ExportSource,
  to: string,
  options: ExportOptions = {},
): Promise<ExportedRoot> {
  const { allowMissing = false, platform, image = {}, ...rest } = checkOptions(options, OPTIONS);
  const destination = parseDestination(checkPath(to, 'to'));
  const parsed = platform === undefined ? {} : { platform: parsePlatform(platform) };
  const read = await readSource(source, allowMissing);
  const warnings = [...read.warnings, ...describePrivileged(read.tree.entries)];
  const whole = withImageDefaults(image, read);
  if (whole.user !== undefined) {
    const unknown = unknownNames(read.tree, whole.user);
    if (unknown.length > 0) warnings.push(`the image has no ${unknown.join(' and no ')}`);
  }
  const epoch = rest.epoch ?? sourceDateEpoch();
  let made: TreeOptions = {
    ...rest,
    ...parsed,
    image: whole,
    ...(epoch === undefined ? {} : { epoch }),
  };
  if (rest.layers === 'by-package') {
    const { packageOf, warnings: unread } = await entryPackages(read);
    warnings.push(...unread);
    made = { ...made, packageOf };
  }
  const result = await exportTree(read.tree, destination, made);
  return { ...result, warnings };
}

async function readSource(value: ExportSource, allowMissing: boolean): Promise<SourceTree> {
  const field = new Field(value, { name: 'source', code: 'USAGE' });
  const { jail, request, manifest, sysroot } = checked<AnySource>(field, SOURCE);
  const named = [jail, request, manifest].filter((one) => one !== undefined);
  if (named.length !== 1) field.refuse('requires exactly one of jail, request and manifest');
  if (sysroot !== undefined && manifest === undefined) {
    field.member('sysroot').refuse('requires manifest: for a request, set request.sysroot');
  }
  if (jail !== undefined) return jailTree(jail);
  if (request !== undefined) return requestTree(request, allowMissing);
  return manifestTree(manifest ?? '', sysroot, allowMissing);
}

function words(field: Field): Readonly<Record<string, string>> {
  const object = field.object();
  return Object.fromEntries(object.names().map((name) => [name, object.member(name).string()]));
}
