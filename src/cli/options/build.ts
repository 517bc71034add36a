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
    describe: 'Build this jail file [default: jail.yaml if there are no arguments]',
    complete: 'file',
  },
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'Build exactly this manifest; each source must match its digest',
    placeholder: 'MANIFEST',
    complete: 'file',
  },
  profile: {
    alias: 'p',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add a profile: a name from `jailbuild profiles`, or a file',
    complete: 'profile',
  },
  user: {
    alias: 'u',
    type: 'string',
    array: true,
    nargs: 1,
    describe: "Add a user to the jail's /etc/passwd and /etc/group",
    placeholder: 'NAME[:UID[:GID]]',
  },
  include: {
    alias: 'i',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add a file, a directory or the matches of a pattern, optionally at another path',
    placeholder: 'FROM[:TO]',
  },
  directory: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Add a directory without its contents',
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
  ...resolveOptions,
  'allow-missing': {
    type: 'boolean',
    describe: 'Build even if libraries are missing, with a warning for each',
  },
  'dry-run': {
    type: 'boolean',
    describe: 'Print the manifest and build nothing',
  },
  format: {
    choices: ['table', 'json', 'github'],
    describe: 'Format of --dry-run; github annotates warnings and errors [default: table]',
  },
  manifest: {
    type: 'string',
    requiresArg: true,
    describe: 'Also write the manifest to this file',
    complete: 'file',
  },
  run: {
    type: 'boolean',
    describe: 'After the build, run the command after -- in the jail',
  },
  prove: {
    type: 'boolean',
    describe: 'Run the proofs of the jail file first; if one fails, write nothing',
  },
  'no-clobber': {
    alias: 'n',
    type: 'boolean',
    describe: 'Keep files that already exist in the jail',
  },
  ...changedOptions,
  strict: {
    type: 'boolean',
    describe: 'Fail instead of warning if an owner, mode, time or attribute cannot be set',
  },
  link: {
    type: 'boolean',
    describe:
      'Hard-link files instead of copying them: only for throw-away jails that nobody can write to',
  },
  digests: {
    type: 'boolean',
    describe: 'Record the SHA-256 of every file, so that check needs no sources',
  },
  'no-record': {
    type: 'boolean',
    describe: 'Write no record; check, update and remove then refuse the jail',
  },
  'no-sync': {
    type: 'boolean',
    describe: 'Do not wait until the jail is on disk',
  },
  'no-cache': {
    type: 'boolean',
    describe: 'Resolve again instead of reusing the results of earlier runs, and store none',
  },
  wait: {
    type: 'boolean',
    describe: 'Wait until another build in the same jail ends, instead of failing',
  },
  'insecure-parents': {
    type: 'boolean',
    describe: 'Allow directories above the jail that other users can write to',
  },
  ...depfileOptions,
  ...limitOptions,
  ...imageSourceOptions,
  ...sbomOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print every entry and what was done with it' },
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
