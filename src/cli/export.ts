import { statSync } from 'node:fs';
import { JailbuildError } from '../errors.js';
import type { CompressionChoice } from '../export/compression.js';
import type { Destination } from '../export/destination.js';
import type { ExportOptions, ExportResult } from '../export/export.js';
import type { ImageOptions } from '../export/image.js';
import { jsonLine } from '../ui/json.js';
import { outputIsTerminal, writeErr, writeOut } from '../ui/output.js';
import { formatSize, plural, printable } from '../ui/text.js';
import { type Arguments, defineCommand } from './command.js';
import { EXIT, signalStatus } from './exit-status.js';
import { Interrupt } from './interrupt.js';
import { warn } from './report-error.js';
import { resolveOptions } from './resolve-options.js';

const positionals = {
  what: {
    type: 'string',
    array: true,
    describe: 'Directory of a jail, or programs by name or path',
    placeholder: 'root|program',
    complete: 'program',
  },
} as const;

const IMAGE_GROUP = 'Image:';

const options = {
  to: {
    type: 'string',
    requiresArg: true,
    demandOption: true,
    describe: 'Where it goes, and in what form; - is standard output',
    placeholder: 'FORM:PATH',
    complete: ['oci:', 'oci-archive:', 'docker-archive:', 'tar:', 'cpio:'],
  },
  layers: {
    choices: ['single', 'by-package', 'by-library'],
    describe: 'How files are spread over the layers of an image [default: single]',
    group: IMAGE_GROUP,
  },
  'max-layers': {
    type: 'string',
    requiresArg: true,
    describe: 'Layers at most; the smallest are put together [default: 64]',
    placeholder: 'NUMBER',
    group: IMAGE_GROUP,
  },
  entrypoint: {
    type: 'string',
    requiresArg: true,
    describe: 'Program that every container runs: a word, or a JSON array of words',
    placeholder: 'WORDS',
    group: IMAGE_GROUP,
  },
  cmd: {
    type: 'string',
    requiresArg: true,
    describe: 'Command, or arguments of the entrypoint [default: the first program]',
    placeholder: 'WORDS',
    group: IMAGE_GROUP,
  },
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set a variable',
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  user: {
    type: 'string',
    requiresArg: true,
    describe: 'User and group that the command runs as',
    placeholder: 'USER[:GROUP]',
    group: IMAGE_GROUP,
  },
  workdir: {
    type: 'string',
    requiresArg: true,
    describe: 'Directory that the command starts in',
    placeholder: 'DIR',
    group: IMAGE_GROUP,
  },
  expose: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'A port that the command listens on',
    placeholder: 'PORT[/tcp|/udp]',
    group: IMAGE_GROUP,
  },
  volume: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'A directory for data that outlives a container',
    placeholder: 'DIR',
    group: IMAGE_GROUP,
  },
  'stop-signal': {
    type: 'string',
    requiresArg: true,
    describe: 'Signal that asks the command to end',
    placeholder: 'SIGNAL',
    group: IMAGE_GROUP,
  },
  label: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'A label of the image',
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  annotation: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: "An annotation of the image's manifest",
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  author: { type: 'string', requiresArg: true, describe: 'Who made the image', group: IMAGE_GROUP },
  platform: {
    type: 'string',
    requiresArg: true,
    describe: 'What the image runs on [default: what the programs are made for]',
    placeholder: 'OS/ARCH[/VARIANT]',
    group: IMAGE_GROUP,
  },
  compression: {
    choices: ['none', 'gzip', 'zstd'],
    describe: "Of layers [default: gzip] and archives [default: by the file's name]",
  },
  'compression-level': {
    type: 'string',
    requiresArg: true,
    describe: 'Level of gzip (1 to 9) or zstd (1 to 19)',
    placeholder: 'NUMBER',
  },
  ...resolveOptions,
  'allow-missing': { type: 'boolean', describe: 'Export although libraries cannot be found' },
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

export type ExportArguments = Arguments<typeof positionals, typeof options>;

export const exportCommand = defineCommand({
  name: 'export',
  usage: '[what..]',
  summary: 'Write a jail, or programs with all they need, as an image or an archive',
  description: [
    'A jail is exported as it is, with the files that its owner put there. Programs need no jail on ' +
      'the disk: they are resolved as in a build, and go into the image from where they are.',
    'The same files give the same bytes: no name, path or time of the machine goes into what is ' +
      'written. SOURCE_DATE_EPOCH in the environment limits the times of files.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: 'The command of the image, in the place of --cmd',
    complete: 'program',
  },
  positionals,
  options,
  examples: [
    ['export /var/local/jail --to tar:jail.tar.gz', 'Pack a jail'],
    ['export bash ls --to oci:images:tools -- bash', 'Make an image without a jail on the disk'],
    ['export /srv/jail --to docker-archive:-:jail | docker load', 'Hand an image to Docker'],
    ['export busybox --to cpio:initrd.gz', 'Make an initramfs'],
  ],
  async run(args) {
    const { parseDestination, STDOUT_PATH } = await import('../export/destination.js');
    const destination = parseDestination(args.to);
    const toStdout = destination.path === STDOUT_PATH;
    checkUsage(args, destination, toStdout);
    if (toStdout && (await outputIsTerminal())) {
      throw new JailbuildError('USAGE', '--to: an archive is nothing for a terminal');
    }
    const interrupt = new Interrupt();
    try {
      const result = await exportWhat(args, destination, interrupt.signal);
      tell(args, result, toStdout);
      return EXIT.ok;
    } catch (error) {
      if (interrupt.received === undefined) throw error;
      writeErr(`jailbuild: ended by ${interrupt.received}, nothing was written\n`);
      return signalStatus(interrupt.received);
    } finally {
      interrupt.stop();
    }
  },
});

/** What only an image has. */
const IMAGE_OPTIONS = Object.entries(options).flatMap(([name, option]) =>
  'group' in option && option.group === IMAGE_GROUP ? [name as keyof typeof options] : [],
);

/** What says how programs are resolved. */
const RESOLVE_OPTIONS = [...Object.keys(resolveOptions), 'allow-missing'] as readonly (
  | keyof typeof resolveOptions
  | 'allow-missing'
)[];

function checkUsage(args: ExportArguments, { kind }: Destination, toStdout: boolean): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  const { what = [] } = args;
  if (what.length === 0) usage('name a jail or at least one program');
  const choice = RESOLVE_OPTIONS.find((name) => args[name] !== undefined);
  if (choice !== undefined && isJail(what))
    usage(`--${choice} goes with programs, not with a jail`);
  if (args.json && toStdout) usage('--json prints where the archive goes: name a file in --to');
  if (args.cmd !== undefined && args['--'] !== undefined) usage('--cmd and -- exclude each other');
  if (kind !== 'tar' && kind !== 'cpio') return;
  const other = IMAGE_OPTIONS.find((name) => args[name] !== undefined);
  if (other !== undefined) usage(`--${other} goes with an image, not with ${kind}`);
  if (args['--'] !== undefined) usage(`the command behind -- goes with an image, not with ${kind}`);
}

async function exportWhat(
  args: ExportArguments,
  destination: Destination,
  signal: AbortSignal,
): Promise<ExportResult> {
  const { sourceOf } = await import('./export-source.js');
  const { exportTree } = await import('../export/export.js');
  const { sourceDateEpoch } = await import('../export/times.js');
  const epoch = sourceDateEpoch();
  const { tree, warnings, command } = sourceOf(args);
  for (const warning of warnings) warn(warning);
  return exportTree(tree, destination, {
    ...(await exportOptions(args, command)),
    signal,
    ...(epoch === undefined ? {} : { epoch }),
  });
}

async function exportOptions(
  args: ExportArguments,
  command: readonly string[] | undefined,
): Promise<ExportOptions> {
  const { parsePlatform } = await import('../export/platform.js');
  const maxLayers = await layerLimit(args['max-layers']);
  const compression = compressionOf(args);
  return {
    image: imageOptions(args, command),
    ...(args.layers === undefined ? {} : { layers: args.layers as 'single' }),
    ...(maxLayers === undefined ? {} : { maxLayers }),
    ...(args.platform === undefined ? {} : { platform: parsePlatform(args.platform) }),
    ...(compression === undefined ? {} : { compression }),
  };
}

async function layerLimit(text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const { MAX_LAYERS } = await import('../export/layers.js');
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
    throw new JailbuildError('USAGE', '--compression-level goes with --compression');
  }
  const kind = compression as CompressionChoice['kind'];
  return level === undefined ? { kind } : { kind, level: wholeNumber('compression-level', level) };
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new JailbuildError('USAGE', `--${option} ${text}: give a whole number`);
}

function imageOptions(args: ExportArguments, command: readonly string[] | undefined): ImageOptions {
  const { user, workdir, author } = args;
  const entrypoint =
    args.entrypoint === undefined ? undefined : words('entrypoint', args.entrypoint);
  const given = args['--'] ?? (args.cmd === undefined ? undefined : words('cmd', args.cmd));
  const cmd = given ?? (entrypoint === undefined ? command : undefined);
  const signal = args['stop-signal'];
  if (signal !== undefined && !/^(SIG[A-Z0-9+-]+|\d{1,2})$/.test(signal)) {
    throw new JailbuildError('USAGE', `--stop-signal ${signal}: give a name, as SIGTERM`);
  }
  return {
    ...(entrypoint === undefined ? {} : { entrypoint }),
    ...(cmd === undefined ? {} : { cmd }),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir: absolute('workdir', workdir) }),
    ...(author === undefined ? {} : { author }),
    ...(signal === undefined ? {} : { stopSignal: signal }),
    env: (args.env ?? []).map((variable) => pair('env', variable).join('=')),
    ports: (args.expose ?? []).map(port),
    volumes: (args.volume ?? []).map((volume) => absolute('volume', volume)),
    labels: Object.fromEntries((args.label ?? []).map((text) => pair('label', text))),
    annotations: Object.fromEntries(
      (args.annotation ?? []).map((text) => pair('annotation', text)),
    ),
  };
}

/** A word, or as in a Dockerfile a JSON array of words. */
function words(option: string, text: string): readonly string[] {
  if (!text.startsWith('[')) return [text];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list;
  } catch {
    // Told below.
  }
  throw new JailbuildError('USAGE', `--${option} ${text}: is not a JSON array of words`);
}

function pair(option: string, text: string): readonly [string, string] {
  const cut = text.indexOf('=');
  if (cut > 0) return [text.slice(0, cut), text.slice(cut + 1)];
  throw new JailbuildError('USAGE', `--${option} ${text}: give NAME=VALUE`);
}

function port(text: string): string {
  const [, number, protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (number !== undefined && Number(number) > 0 && Number(number) < 65536) {
    return `${Number(number)}/${protocol}`;
  }
  throw new JailbuildError('USAGE', `--expose ${text}: give PORT, PORT/tcp or PORT/udp`);
}

function absolute(option: string, text: string): string {
  if (text.startsWith('/')) return text;
  throw new JailbuildError('USAGE', `--${option} ${text}: give an absolute path`);
}

/** Whether a lone word names a jail. */
export function isJail(what: readonly string[]): boolean {
  const [word, ...others] = what;
  if (word === undefined || others.length > 0) return false;
  return statSync(word, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function tell(args: ExportArguments, result: ExportResult, toStdout: boolean): void {
  if (args.json) {
    writeOut(jsonLine({ status: 'ok', ...result }));
    return;
  }
  if (args.quiet) return;
  const write = toStdout ? writeErr : writeOut;
  const { format, path, digest, size, entries, image } = result;
  const lines = (image?.layers ?? []).map(
    ({ name, size: bytes, uncompressedSize, digest: layer }) =>
      `  ${layer}  ${formatSize(bytes)} of ${formatSize(uncompressedSize)}  ${printable(name)}`,
  );
  const name = image?.name === undefined ? '' : `:${image.name}`;
  write(
    [
      `Exported ${plural(entries, 'entry', 'entries')}, ${formatSize(size)}, to ${format}:${printable(path)}${name}`,
      ...lines,
      `${image === undefined ? 'Digest' : 'Image'} ${digest}`,
      '',
    ].join('\n'),
  );
}
