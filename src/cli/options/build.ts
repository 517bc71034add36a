import type { Arguments } from '../command.js';
import { changedOptions } from './changed.js';
import { withDefaults } from './jail-file.js';
import { resolveOptions } from './resolve.js';
import { sbomOptions } from './sbom.js';

export const buildPositionals = {
  root: {
    type: 'string',
    describe: 'Directory of the jail; made if it does not exist',
    complete: 'directory',
  },
  program: {
    type: 'string',
    array: true,
    describe: 'Programs by name, looked up on PATH, or by path',
    complete: 'program',
  },
} as const;

export const buildOptions = {
  file: {
    alias: 'f',
    type: 'string',
    requiresArg: true,
    describe: 'Build what this jail file says [default: jail.yaml, without arguments]',
    complete: 'file',
  },
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'Build exactly what this manifest says, from sources with its digests',
    placeholder: 'MANIFEST',
    complete: 'file',
  },
  profile: {
    alias: 'p',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Bring what a kind of work needs: a name of `jailbuild profiles`, or a file',
    complete: 'profile',
  },
  user: {
    alias: 'u',
    type: 'string',
    array: true,
    nargs: 1,
    describe: "A user for the jail's passwd and group",
    placeholder: 'NAME[:UID[:GID]]',
  },
  include: {
    alias: 'i',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Bring files too: a path or a pattern, perhaps to another place',
    placeholder: 'FROM[:TO]',
  },
  directory: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Bring a directory, without what is in it',
    placeholder: 'DIR',
    complete: 'directory',
  },
  exclude: {
    alias: 'x',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Leave out paths of the jail that match a pattern',
    placeholder: 'PATTERN',
  },
  'no-clobber': {
    alias: 'n',
    type: 'boolean',
    describe: 'Leave files that the jail has already',
  },
  ...resolveOptions,
  'allow-missing': {
    type: 'boolean',
    describe: 'Build although libraries cannot be found',
  },
  strict: {
    type: 'boolean',
    describe: 'Fail where the jail cannot be exactly as planned, rather than warn',
  },
  link: {
    type: 'boolean',
    describe: "Hard-link the host's files: for jails to throw away, in which nobody can write",
  },
  'no-sync': {
    type: 'boolean',
    describe: 'Do not wait until the jail is on the disk',
  },
  wait: {
    type: 'boolean',
    describe: 'Wait for another build that is at work in the jail',
  },
  'insecure-parents': {
    type: 'boolean',
    describe: 'Build below directories that others may write to',
  },
  ...changedOptions,
  digests: {
    type: 'boolean',
    describe: 'Keep the SHA-256 of every file in the record, so that check needs no sources',
  },
  'no-record': {
    type: 'boolean',
    describe: 'Leave no record, which check, update and remove need',
  },
  'dry-run': {
    type: 'boolean',
    describe: 'Build nothing; print the manifest',
  },
  format: {
    choices: ['table', 'json'],
    describe: 'How --dry-run prints [default: table]',
  },
  manifest: {
    type: 'string',
    requiresArg: true,
    describe: 'Write the manifest to this file as well',
    complete: 'file',
  },
  run: {
    type: 'boolean',
    describe: 'Then run the command behind -- in the jail, as `run` does',
  },
  prove: {
    type: 'boolean',
    describe: 'Run the proofs of the jail file first; where one fails, write nothing',
  },
  ...sbomOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print every entry with what was done' },
} as const;

/** What a manifest has settled already, or what would make the jail another one. */
export const ASKING = [
  'file',
  'user',
  'include',
  'directory',
  'exclude',
  'no-clobber',
  'link',
  ...(Object.keys(resolveOptions) as (keyof typeof resolveOptions)[]).filter(
    (name) => name !== 'sysroot',
  ),
] as const;

export type BuildArguments = Arguments<typeof buildPositionals, typeof buildOptions>;

export const NO_ARGUMENTS: BuildArguments = {
  root: undefined,
  program: undefined,
  ...withDefaults(buildOptions),
};
