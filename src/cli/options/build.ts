import type { ResolveRequest } from '../../manifest/request.js';
import type { Arguments } from '../command.js';
import { changedOptions } from './changed.js';
import { depfileOptions } from './depfile.js';
import { withDefaults } from './jail-file.js';
import { limitOptions } from './limits.js';
import { imageSourceOptions } from './registry.js';
import { resolveOptions } from './resolve.js';
import { sbomOptions } from './sbom.js';

export const buildPositionals = {
  root: {
    type: 'string',
    describe: 'Directory of the jail; created if it does not exist',
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
    describe: 'Build this jail file [default: jail.yaml, without arguments]',
    complete: 'file',
  },
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'Build exactly this manifest, from sources with its digests',
    placeholder: 'MANIFEST',
    complete: 'file',
  },
  profile: {
    alias: 'p',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add what a job needs: a name from `jailbuild profiles`, or a file',
    complete: 'profile',
  },
  user: {
    alias: 'u',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add a user to passwd and group of the jail',
    placeholder: 'NAME[:UID[:GID]]',
  },
  include: {
    alias: 'i',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add files: a path or a pattern, optionally at another path',
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
    describe: 'Leave out paths that match a pattern',
    placeholder: 'PATTERN',
  },
  'no-clobber': {
    alias: 'n',
    type: 'boolean',
    describe: 'Keep files that already exist in the jail',
  },
  ...resolveOptions,
  'allow-missing': {
    type: 'boolean',
    describe: 'Build even if libraries are missing',
  },
  strict: {
    type: 'boolean',
    describe: 'Fail instead of warning if the jail cannot be exactly as planned',
  },
  link: {
    type: 'boolean',
    describe: 'Hard-link files instead of copying: for throw-away jails that nobody can write to',
  },
  'no-sync': {
    type: 'boolean',
    describe: 'Do not wait until the jail is on disk',
  },
  'no-cache': {
    type: 'boolean',
    describe: 'Resolve anew what earlier builds have found, and keep no result',
  },
  wait: {
    type: 'boolean',
    describe: 'Wait for another build in the same jail to end',
  },
  'insecure-parents': {
    type: 'boolean',
    describe: 'Allow directories above the jail that others can write to',
  },
  ...changedOptions,
  digests: {
    type: 'boolean',
    describe: 'Record the SHA-256 of every file, so that check needs no sources',
  },
  'no-record': {
    type: 'boolean',
    describe: 'Write no record, which check, update and remove need',
  },
  'dry-run': {
    type: 'boolean',
    describe: 'Print the manifest and build nothing',
  },
  format: {
    choices: ['table', 'json', 'github'],
    describe: 'Format of --dry-run [default: table]; github annotates warnings and errors',
  },
  manifest: {
    type: 'string',
    requiresArg: true,
    describe: 'Also write the manifest to this file',
    complete: 'file',
  },
  ...depfileOptions,
  run: {
    type: 'boolean',
    describe: 'After the build, run the command after -- in the jail',
  },
  prove: {
    type: 'boolean',
    describe: 'Run the proofs of the jail file first; where one fails, write nothing',
  },
  ...limitOptions,
  ...imageSourceOptions,
  ...sbomOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print every entry and what was done' },
} as const;

/** Options that a manifest already determines, or that would change the jail. */
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

export type BuildArguments = Arguments<typeof buildPositionals, typeof buildOptions> &
  Pick<ResolveRequest, 'sysrootImage'>;

export const NO_ARGUMENTS: BuildArguments = {
  root: undefined,
  program: undefined,
  ...withDefaults(buildOptions),
};
