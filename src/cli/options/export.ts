import type { Arguments } from '../command.js';
import { buildOptions } from './build.js';
import { depfileOptions } from './depfile.js';
import { FORMAT_OPTION, limitOptions } from './limits.js';
import { registryOptions } from './registry.js';
import { resolveOptions } from './resolve.js';
import { sbomOptions } from './sbom.js';
import type { OpenedSysroot } from './sysroot.js';

export const exportPositionals = {
  what: {
    type: 'string',
    array: true,
    describe: 'Directory of a jail, or programs by name or path',
    placeholder: 'root|program',
    complete: 'program',
  },
} as const;

const IMAGE_GROUP = 'Image:';

export const exportOptions = {
  to: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Form and path of the output, also several times; - is standard output',
    placeholder: 'FORM:PATH',
    complete: [
      ...['oci:', 'oci-archive:', 'docker-archive:', 'docker://', 'tar:', 'cpio:'],
      ...['squashfs:', 'erofs:', 'ext4:', 'portable:'],
    ],
  },
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'Export this jail file or manifest [default: jail.yaml, without arguments]',
    complete: 'file',
  },
  prove: {
    ...buildOptions.prove,
    describe:
      'Run the proofs of the jail file, or the command of the image, and export only if they pass',
  },
  proof: {
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'Run this command first, and export only if it succeeds: a word, or a JSON array of words',
    placeholder: 'WORDS',
  },
  'from-image': {
    type: 'string',
    requiresArg: true,
    describe: 'Export what the command of this image needs, with its configuration',
    placeholder: 'IMAGE',
    complete: ['oci:', 'oci-archive:', 'docker-archive:', 'docker://'],
  },
  'package-database': {
    choices: ['auto', 'none'],
    describe: 'Add a database of the packages that are in it, for scanners [default: none]',
  },
  layers: {
    choices: ['single', 'by-package', 'by-library'],
    describe: 'How files are split into image layers [default: single]',
    group: IMAGE_GROUP,
  },
  'max-layers': {
    type: 'string',
    requiresArg: true,
    describe: 'Maximum number of layers; the smallest are merged [default: 64]',
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
    describe: 'Signal that stops the command',
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
    array: true,
    nargs: 1,
    describe: 'Platform of the image; several, each with its root, make one index',
    placeholder: 'OS/ARCH[/VARIANT][=SYSROOT]',
    group: IMAGE_GROUP,
  },
  attach: {
    type: 'boolean',
    describe: 'Attach the bill of materials to the image [default: true for registries]',
    group: IMAGE_GROUP,
  },
  provenance: {
    type: 'boolean',
    describe: 'Attach what the image was made from, as an in-toto statement of SLSA',
    group: IMAGE_GROUP,
  },
  'sign-key': {
    type: 'string',
    requiresArg: true,
    describe: 'Sign what is pushed with this private key (PEM, or of cosign)',
    placeholder: 'FILE',
    complete: 'file',
    group: IMAGE_GROUP,
  },
  'sign-passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'File with the passphrase of the key [default: COSIGN_PASSWORD]',
    placeholder: 'FILE',
    complete: 'file',
    group: IMAGE_GROUP,
  },
  append: {
    type: 'boolean',
    describe: 'Keep the images that the tag has for other platforms',
    group: IMAGE_GROUP,
  },
  'digest-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Write the digest to this file, a line for each --to',
    complete: 'file',
  },
  ...depfileOptions,
  compression: {
    choices: ['none', 'gzip', 'zstd'],
    describe: 'Compression of layers [default: gzip] and archives [default: by file name]',
  },
  verity: {
    type: 'boolean',
    describe: 'Write a dm-verity hash tree beside a disk image, and print its root hash',
  },
  'compression-level': {
    type: 'string',
    requiresArg: true,
    describe: 'Level for gzip (1 to 9) or zstd (1 to 19) [default: 5, 3]',
    placeholder: 'NUMBER',
  },
  profile: buildOptions.profile,
  include: buildOptions.include,
  exclude: buildOptions.exclude,
  ...resolveOptions,
  ...registryOptions,
  'allow-missing': { type: 'boolean', describe: 'Export even if libraries are missing' },
  ...limitOptions,
  format: FORMAT_OPTION,
  ...sbomOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
} as const;

/** A command line, possibly with several outputs and platforms. */
export type ExportLine = Arguments<typeof exportPositionals, typeof exportOptions>;

/** The arguments that determine the tree of one platform. */
export type ExportArguments = Omit<ExportLine, 'platform' | 'to'> &
  Pick<OpenedSysroot, 'sysrootImage'> & {
    readonly platform?: string | undefined;
    /** The root directory of the platform, instead of --sysroot. */
    readonly platformRoot?: OpenedSysroot;
  };

/** Image options that also apply to systemd units. */
export const UNIT_OPTIONS: readonly string[] = ['cmd', 'env', 'user', 'workdir'];

/** Options that apply only to images. */
export const IMAGE_OPTIONS = Object.entries(exportOptions).flatMap(([name, option]) =>
  'group' in option && option.group === IMAGE_GROUP ? [name as keyof typeof exportOptions] : [],
);
