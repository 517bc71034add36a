import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { CompressionChoice } from '../../export/compression.js';
import { type Destination, parseDestination, STDOUT_PATH } from '../../export/destination.js';
import type { ImageOptions } from '../../export/image.js';
import { type ImageDefaults, withImageDefaults } from '../../export/image-defaults.js';
import { MAX_LAYERS } from '../../export/layers.js';
import type { ExportOptions } from '../../export/options.js';
import { sourceDateEpoch } from '../../export/times.js';
import { parsePlatform } from '../../image/platform.js';
import type { JailFile, ImageOptions as RequestedImage } from '../../profile/jail-file.js';
import type { ExportArguments, ExportLine } from './export.js';
import { unpackedSysroot } from './sysroot.js';

/**
 * Returns the destinations of an export, from the command line or the jail file. Paths in the file are
 * relative to its directory.
 *
 * @throws JailbuildError USAGE
 */
export function destinationsOf(
  given: readonly string[] | undefined,
  file: JailFile | undefined,
): readonly [Destination, ...Destination[]] {
  const [first, ...others] = given ?? [];
  if (first !== undefined) return [parseDestination(first), ...others.map(parseDestination)];
  const to = file?.image.to;
  if (file === undefined || to === undefined) {
    throw new JailbuildError('USAGE', '--to is missing (see jailbuild export --help)');
  }
  const destination = parseDestination(to);
  if (destination.path === STDOUT_PATH || destination.kind === 'docker') return [destination];
  return [{ ...destination, path: path.resolve(file.directory, destination.path) }];
}

/**
 * Returns the command line of each platform: `--platform linux/arm64=SYSROOT` takes the root directory of
 * that platform, or an image.
 *
 * @throws JailbuildError USAGE, and what unpacking an image throws
 */
export async function partsOf(
  line: ExportLine,
): Promise<readonly [ExportArguments, ...ExportArguments[]]> {
  const { platform: given = [], to, ...args } = line;
  const usage = (message: string) => new JailbuildError('USAGE', message);
  const [only = '', ...others] = given;
  if (others.length === 0 && !only.includes('=')) {
    return [{ ...args, ...(only === '' ? {} : { platform: only }) }];
  }
  const rooted = ['sysroot', 'from-image'] as const;
  const other = rooted.find((name) => args[name] !== undefined);
  if (other !== undefined) throw usage(`--${other} and --platform with a root cannot be combined`);
  const parts: ExportArguments[] = [];
  for (const text of given) {
    const cut = text.indexOf('=');
    const [platform, sysroot] = [text.slice(0, cut), text.slice(cut + 1)];
    if (cut < 0 || sysroot === '')
      throw usage(`--platform ${text}: give its root, as ${text}=SYSROOT`);
    if (parts.some((part) => part.platform === platform))
      throw usage(`--platform ${platform}: is given twice`);
    const platformRoot = await unpackedSysroot(sysroot, { ...args, platform });
    parts.push({ ...args, platform, platformRoot });
  }
  return parts as [ExportArguments, ...ExportArguments[]];
}

/**
 * Returns the options of an export: the command line overrides the jail file, which overrides the record
 * of the jail.
 *
 * @throws JailbuildError USAGE
 */
export function exportOptionsOf(
  args: ExportArguments,
  file: RequestedImage = {},
  defaults: ImageDefaults = {},
): ExportOptions {
  const epoch = sourceDateEpoch();
  const layers = (args.layers ?? file.layers) as ExportOptions['layers'];
  const maxLayers = layerLimit(args['max-layers']);
  const platform = args.platform ?? file.platform;
  const compression = compressionOf(args);
  return {
    image: checkedImage(merged(requestedImage(args), file), defaults),
    ...(layers === undefined ? {} : { layers }),
    ...(maxLayers === undefined ? {} : { maxLayers }),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(compression === undefined ? {} : { compression }),
    ...(args.append === undefined ? {} : { append: args.append }),
    ...(args.verity === undefined ? {} : { verity: args.verity }),
    ...(epoch === undefined ? {} : { epoch }),
  };
}

function requestedImage(args: ExportArguments): RequestedImage {
  const { entrypoint, user, workdir, author, 'stop-signal': stopSignal } = args;
  const cmd = args['--'] ?? (args.cmd === undefined ? undefined : words('cmd', args.cmd));
  return {
    ...(entrypoint === undefined ? {} : { entrypoint: words('entrypoint', entrypoint) }),
    ...(cmd === undefined ? {} : { cmd }),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir }),
    ...(author === undefined ? {} : { author }),
    ...(stopSignal === undefined ? {} : { 'stop-signal': stopSignal }),
    env: args.env ?? [],
    expose: args.expose ?? [],
    volumes: args.volume ?? [],
    labels: pairs('label', args.label ?? []),
    annotations: pairs('annotation', args.annotation ?? []),
  };
}

/** Lists and maps are extended; other values are overridden by the command line. */
function merged(given: RequestedImage, file: RequestedImage): RequestedImage {
  // The arguments belong to the entrypoint that is being replaced.
  const { cmd, ...others } = file;
  const beneath = given.entrypoint === undefined ? file : others;
  return {
    ...beneath,
    ...given,
    env: [...(file.env ?? []), ...(given.env ?? [])],
    expose: [...(file.expose ?? []), ...(given.expose ?? [])],
    volumes: [...(file.volumes ?? []), ...(given.volumes ?? [])],
    labels: { ...file.labels, ...given.labels },
    annotations: { ...file.annotations, ...given.annotations },
  };
}

function checkedImage(requested: RequestedImage, defaults: ImageDefaults): ImageOptions {
  const { entrypoint, cmd, user, workdir, author, 'stop-signal': stopSignal } = requested;
  const { labels, annotations } = requested;
  if (stopSignal !== undefined && !/^(SIG[A-Z0-9+-]+|\d{1,2})$/.test(stopSignal)) {
    throw new JailbuildError('USAGE', `stop-signal ${stopSignal}: give a name, such as SIGTERM`);
  }
  const image: ImageOptions = {
    ...(entrypoint === undefined ? {} : { entrypoint }),
    ...(cmd === undefined ? {} : { cmd }),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir: absolute('workdir', workdir) }),
    ...(author === undefined ? {} : { author }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    env: Object.entries(pairs('env', requested.env ?? [])).map((variable) => variable.join('=')),
    ports: (requested.expose ?? []).map(port),
    volumes: (requested.volumes ?? []).map((volume) => absolute('volume', volume)),
  };
  return withImageDefaults(image, defaults);
}

function layerLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = wholeNumber('max-layers', text);
  if (limit < 2 || limit > MAX_LAYERS) {
    throw new JailbuildError('USAGE', `--max-layers ${text}: give 2 to ${MAX_LAYERS}`);
  }
  return limit;
}

function compressionOf(args: ExportArguments): CompressionChoice | undefined {
  const { compression, 'compression-level': level } = args;
  if (compression === undefined) {
    if (level === undefined) return undefined;
    throw new JailbuildError('USAGE', '--compression-level requires --compression');
  }
  const kind = compression as CompressionChoice['kind'];
  return level === undefined ? { kind } : { kind, level: wholeNumber('compression-level', level) };
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new JailbuildError('USAGE', `--${option} ${text}: give a whole number`);
}

/**
 * Parses a command as in a Dockerfile: a word, or a JSON array of words.
 *
 * @throws JailbuildError USAGE
 */
export function words(option: string, text: string): readonly string[] {
  if (!text.startsWith('[')) return [text];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  } catch {
    // Reported below.
  }
  throw new JailbuildError('USAGE', `--${option} ${text}: is not a JSON array of words`);
}

/** The last value of a name wins. */
function pairs(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const cut = text.indexOf('=');
      if (cut > 0) return [text.slice(0, cut), text.slice(cut + 1)];
      throw new JailbuildError('USAGE', `${option} ${text}: give NAME=VALUE`);
    }),
  );
}

function port(text: string): string {
  const [, number, protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (number !== undefined && Number(number) > 0 && Number(number) < 65536) {
    return `${Number(number)}/${protocol}`;
  }
  throw new JailbuildError('USAGE', `expose ${text}: give PORT, PORT/tcp or PORT/udp`);
}

function absolute(option: string, text: string): string {
  if (text.startsWith('/')) return text;
  throw new JailbuildError('USAGE', `${option} ${text}: give an absolute path`);
}
