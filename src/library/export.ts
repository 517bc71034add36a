import { JailbuildError } from '../errors.js';
import type { CompressionChoice } from '../export/compression.js';
import { type Destination, nameOfImage, parseDestination } from '../export/destination.js';
import { exportParts } from '../export/export.js';
import type { ImageOptions } from '../export/image.js';
import { withImageDefaults } from '../export/image-defaults.js';
import { unknownNames } from '../export/image-user.js';
import { type LayerChoice, MAX_LAYERS } from '../export/layers.js';
import type { ExportPart, ExportOptions as TreeOptions } from '../export/options.js';
import { entryPackages } from '../export/packages.js';
import { digested, type ExportResult } from '../export/result.js';
import { jailTree, manifestTree, requestTree, type SourceTree } from '../export/source.js';
import { sourceDateEpoch } from '../export/times.js';
import { ownVariable } from '../fs/own-environment.js';
import { parsePlatform } from '../image/platform.js';
import type { RegistryAccess } from '../image/registry/access.js';
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
import type { Reading } from '../plan/resolve-request.js';
import type { SbomFormat } from '../sbom/document.js';
import { abortSignal, anything, callback, checkOptions, flag, registryAccess } from './options.js';

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
  /** How registries are reached. */
  readonly registry?: RegistryAccess;
  /** Read each file again instead of using what earlier runs have stored, and store nothing. */
  readonly noCache?: boolean;
  /** Whether to keep the images that the tag of a layout or registry has for other platforms. */
  readonly append?: boolean;
  /** Whether to add what vulnerability scanners read. The default is `none`. */
  readonly packageDatabase?: 'auto' | 'none';
  /** A bill of materials to attach to an image. */
  readonly sbom?: SbomFormat;
  /** Whether to attach a statement of every input file, in SLSA's form, to an image. */
  readonly provenance?: boolean;
  /** Signs what is pushed to a registry, as `cosign sign --key` does. */
  readonly signKey?: SigningKeyFile;
}

/** A private key: ECDSA or RSA in PEM form, or of `cosign generate-key-pair`. */
export interface SigningKeyFile {
  readonly file: string;
  /** The default is that of COSIGN_PASSWORD. */
  readonly passphrase?: string;
}

/** What is exported for one platform. */
export interface PlatformSource {
  readonly source: ExportSource;
  /** As `linux/arm64` or `linux/arm/v7`. The default is what the programs are made for. */
  readonly platform?: string;
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
  registry: registryAccess,
  noCache: flag,
  append: flag,
  packageDatabase: oneOf('auto', 'none'),
  sbom: oneOf('cyclonedx', 'spdx'),
  provenance: flag,
  signKey: (field) => checked(field, { file: text, passphrase: text }, ['file']),
};

/** Options that describe images, which archives and file systems cannot hold. */
const OF_IMAGES = ['append', 'sbom', 'provenance', 'signKey', 'platform'] as const;

const PART: Checks<PlatformSource> = {
  source: anything<ExportSource>,
  platform: text,
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
  const { platform } = options;
  const part = platform === undefined ? { source } : { source, platform };
  const [only] = await exportPlatforms([part], [to], options);
  return only as ExportedRoot;
}

/**
 * Writes root file systems for one or several platforms to each of several destinations. What is several is an index
 * of images, under one tag of a layout, an oci-archive or a registry. Sources are read once; destinations are written in
 * their order, and if one fails, those before it remain.
 *
 * @param parts what is exported for each platform
 * @param to as `exportRoot`, at least one
 * @returns what was written, by destination
 * @throws as `exportRoot`
 */
export async function exportPlatforms(
  parts: readonly PlatformSource[],
  to: readonly string[],
  options: ExportOptions = {},
): Promise<ExportedRoot[]> {
  const checkedOptions = checkOptions(options, OPTIONS);
  const destinations = new Field(to, { name: 'to', code: 'USAGE' }).items().map(text);
  const targets = destinations.map(parseDestination);
  const [target] = targets;
  if (target === undefined || parts.length === 0) {
    throw new JailbuildError(
      'USAGE',
      'exportPlatforms: give at least one part and one destination',
    );
  }
  for (const { kind } of targets) refuseUnsuited(kind, checkedOptions);
  const prepared: (ExportPart & { readonly warnings: readonly string[] })[] = [];
  for (const part of new Field(parts, { name: 'parts', code: 'USAGE' }).items()) {
    const { source, platform } = checked(part, PART, ['source']);
    prepared.push(await preparePart(source, platform, target, checkedOptions));
  }
  const warnings = prepared.flatMap((part) => part.warnings);
  const results: ExportedRoot[] = [];
  for (const one of targets) {
    const result = digested(await exportParts(prepared as unknown as [ExportPart], one));
    results.push({ ...result, warnings });
  }
  return results;
}

/** @throws JailbuildError USAGE */
function refuseUnsuited(kind: Destination['kind'], options: ExportOptions): void {
  const field = (name: string) => new Field(undefined, { name: `options: ${name}`, code: 'USAGE' });
  if (kind === 'portable') field('to').refuse('portable services are made by the command alone');
  const isAttachable = kind === 'oci' || kind === 'oci-archive' || kind === 'docker';
  const isImage = isAttachable || kind === 'docker-archive';
  for (const name of OF_IMAGES) {
    const value = options[name];
    if (value === undefined || value === false) continue;
    const isSuited =
      name === 'platform' ? isImage : name === 'signKey' ? kind === 'docker' : isAttachable;
    if (!isSuited) field(name).refuse(`does not apply to ${kind}`);
  }
  if (options.append && kind === 'oci-archive') field('append').refuse(`does not apply to ${kind}`);
}

async function preparePart(
  source: ExportSource,
  platform: string | undefined,
  destination: Destination,
  {
    allowMissing = false,
    image = {},
    platform: _,
    packageDatabase,
    sbom,
    provenance = false,
    signKey,
    registry,
    noCache,
    ...rest
  }: ExportOptions,
): Promise<ExportPart & { readonly warnings: readonly string[] }> {
  let read = await readSource(source, allowMissing, { registry, noCache });
  const warnings = [...read.warnings, ...describePrivileged(read.tree.entries)];
  if (packageDatabase === 'auto') {
    const { withPackageDatabase } = await import('../export/package-database.js');
    const made = await withPackageDatabase(read);
    warnings.push(...made.warnings);
    read = { ...read, tree: made.tree };
  }
  const whole = withImageDefaults(image, read);
  if (whole.user !== undefined) {
    const unknown = unknownNames(read.tree, whole.user);
    if (unknown.length > 0) warnings.push(`the image has no ${unknown.join(' and no ')}`);
  }
  const epoch = rest.epoch ?? sourceDateEpoch();
  let options: TreeOptions = {
    ...rest,
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(registry === undefined ? {} : { registry }),
    image: whole,
    ...(epoch === undefined ? {} : { epoch }),
  };
  if (rest.layers === 'by-package') {
    const { packageOf, warnings: unread } = await entryPackages(read);
    warnings.push(...unread);
    options = { ...options, packageOf };
  }
  if (signKey !== undefined) {
    const { readSigningKey } = await import('../export/signature.js');
    const { file, passphrase = ownVariable('COSIGN_PASSWORD') ?? '' } = signKey;
    options = { ...options, signingKey: await readSigningKey(file, passphrase) };
  }
  if (sbom === undefined && !provenance) return { tree: read.tree, options, warnings };
  const { documentTree, UNNAMED } = await import('../sbom/make-sbom.js');
  const title = whole.labels?.['org.opencontainers.image.title'];
  const {
    tree,
    attachmentsOf,
    warnings: unlisted,
  } = await documentTree(read, {
    name: title ?? nameOfImage(destination) ?? UNNAMED,
    sbom: sbom && { format: sbom, isAttached: true },
    provenance,
  });
  return { tree, options: { ...options, attachmentsOf }, warnings: [...warnings, ...unlisted] };
}

async function readSource(
  value: ExportSource,
  allowMissing: boolean,
  reading: Reading,
): Promise<SourceTree> {
  const field = new Field(value, { name: 'source', code: 'USAGE' });
  const { jail, request, manifest, sysroot } = checked<AnySource>(field, SOURCE);
  const named = [jail, request, manifest].filter((one) => one !== undefined);
  if (named.length !== 1) field.refuse('requires exactly one of jail, request and manifest');
  if (sysroot !== undefined && manifest === undefined) {
    field.member('sysroot').refuse('requires manifest: for a request, set request.sysroot');
  }
  if (jail !== undefined) return jailTree(jail, reading.registry);
  if (request !== undefined) return requestTree(request, allowMissing, reading);
  return manifestTree(manifest ?? '', sysroot, allowMissing);
}

function words(field: Field): Readonly<Record<string, string>> {
  const object = field.object();
  return Object.fromEntries(object.names().map((name) => [name, object.member(name).string()]));
}
