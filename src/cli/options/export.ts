import type { Arguments } from '../command.js';
import { buildOptions } from './build.js';
import { depfileOptions } from './depfile.js';
import { FORMAT_OPTION, limitOptions } from './limits.js';
import { registryOptions } from './registry.js';
import { noCacheOption, resolveOptions } from './resolve.js';
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
    describe: 'Form and path of the output, such as oci:DIR or tar:FILE; - is standard output',
    placeholder: 'FORM:PATH',
    complete: [
      ...['oci:', 'oci-archive:', 'docker-archive:', 'docker://', 'tar:', 'cpio:'],
      ...['squashfs:', 'erofs:', 'ext4:', 'portable:'],
    ],
  },
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'Export this jail file or manifest [default: jail.yaml if there are no arguments]',
    complete: 'file',
  },
  'from-image': {
    type: 'string',
    requiresArg: true,
    describe: 'Export what the command of this image needs, with the configuration of the image',
    placeholder: 'IMAGE',
    complete: ['oci:', 'oci-archive:', 'docker-archive:', 'docker://'],
  },
  entrypoint: {
    type: 'string',
    requiresArg: true,
    describe: 'Program that every container runs: one word, or a JSON array of words',
    placeholder: 'WORDS',
    group: IMAGE_GROUP,
  },
  cmd: {
    type: 'string',
    requiresArg: true,
    describe:
      'Command, or arguments of the entrypoint: one word, or a JSON array [default: the first program]',
    placeholder: 'WORDS',
    group: IMAGE_GROUP,
  },
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set an environment variable',
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  user: {
    type: 'string',
    requiresArg: true,
    describe: 'User and group to run the command as',
    placeholder: 'USER[:GROUP]',
    group: IMAGE_GROUP,
  },
  workdir: {
    type: 'string',
    requiresArg: true,
    describe: 'Working directory of the command',
    placeholder: 'DIR',
    group: IMAGE_GROUP,
  },
  expose: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Declare a port that the command listens on',
    placeholder: 'PORT[/tcp|/udp]',
    group: IMAGE_GROUP,
  },
  volume: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Declare a directory for data that outlives a container',
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
    describe: 'Set a label of the image',
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  annotation: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: "Set an annotation of the image's manifest",
    placeholder: 'NAME=VALUE',
    group: IMAGE_GROUP,
  },
  author: {
    type: 'string',
    requiresArg: true,
    describe: 'Author of the image',
    group: IMAGE_GROUP,
  },
  platform: {
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'Platform of the image; several, each with its root, make one index [default: that of the programs]',
    placeholder: 'OS/ARCH[/VARIANT][=SYSROOT]',
    group: IMAGE_GROUP,
  },
  append: {
    type: 'boolean',
    describe: 'Keep the images for other platforms under the same tag',
    group: IMAGE_GROUP,
  },
  layers: {
    choices: ['single', 'by-package', 'by-library'],
    describe: 'How to split files into layers [default: single]',
    group: IMAGE_GROUP,
  },
  'max-layers': {
    type: 'string',
    requiresArg: true,
    describe: 'Maximum number of layers; the smallest are merged [default: 64]',
    placeholder: 'NUMBER',
    group: IMAGE_GROUP,
  },
  attach: {
    type: 'boolean',
    describe: 'Attach the SBOM to the image [default: true for registries]',
    group: IMAGE_GROUP,
  },
  provenance: {
    type: 'boolean',
    describe: 'Attach SLSA provenance: what the image was made from',
    group: IMAGE_GROUP,
  },
  'sign-key': {
    type: 'string',
    requiresArg: true,
    describe: 'Sign what is pushed with this private key, in PEM form or from cosign',
    placeholder: 'FILE',
    complete: 'file',
    group: IMAGE_GROUP,
  },
  'sign-passphrase-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Read the passphrase of the key from this file [default: COSIGN_PASSWORD]',
    placeholder: 'FILE',
    complete: 'file',
    group: IMAGE_GROUP,
  },
  profile: buildOptions.profile,
  include: buildOptions.include,
  exclude: buildOptions.exclude,
  ...resolveOptions,
  'allow-missing': {
    type: 'boolean',
    describe: 'Export even if libraries are missing, with a warning for each',
  },
  prove: {
    ...buildOptions.prove,
    describe:
      'Run the proofs of the jail file, or the command of the image, first; if one fails, write nothing',
  },
  proof: {
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'Run this command first, one word or a JSON array of words; if it fails, write nothing',
    placeholder: 'WORDS',
  },
  compression: {
    choices: ['none', 'gzip', 'zstd'],
    describe:
      'Compression of layers and archives [default: gzip for layers, by file name for archives]',
  },
  'compression-level': {
    type: 'string',
    requiresArg: true,
    describe: 'Level of gzip (1 to 9) or zstd (1 to 19) [default: 4 for gzip, 3 for zstd]',
    placeholder: 'NUMBER',
  },
  verity: {
    type: 'boolean',
    describe: 'Write a dm-verity hash tree beside a disk image and print its root hash',
  },
  'package-database': {
    choices: ['auto', 'none'],
    describe: 'Add a package database of what is exported, for scanners [default: none]',
  },
  ...sbomOptions,
  'digest-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Write the digest to this file, one line for each --to',
    complete: 'file',
  },
  ...depfileOptions,
  format: FORMAT_OPTION,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  ...registryOptions,
  ...noCacheOption,
  ...limitOptions,
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
