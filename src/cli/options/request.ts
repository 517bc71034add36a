import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { BuildOptions, GivenManifest } from '../../jail/build/job.js';
import { parseAccount } from '../../manifest/account-request.js';
import { parseInclude } from '../../manifest/include-request.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { JailFile } from '../../profile/jail-file.js';
import { warn } from '../report-error.js';
import { ASKING, type BuildArguments, buildOptions, NO_ARGUMENTS } from './build.js';
import { findJailFile, placed, withFileOptions } from './jail-file.js';
import { resolveChoices } from './resolve.js';
import { runOptions } from './run.js';

/** The command line, and the jail file that it overrides. */
export interface Wanted {
  readonly args: BuildArguments;
  readonly file: JailFile | undefined;
  readonly from?: GivenManifest;
  /** Options and command that the record keeps for `run`. */
  readonly run?: BuildOptions['run'] | undefined;
  /** The jail file alone determines the content of the jail. */
  readonly isDeclared?: boolean;
}

export async function withJailFile(given: BuildArguments): Promise<Wanted> {
  if (given.from !== undefined) return withManifest(given, given.from);
  const named = findJailFile(given.file, given.root);
  if (named === undefined) return { args: given, file: undefined };
  const { readJailFile } = await import('../../profile/jail-file.js');
  const file = readJailFile(named);
  const args = await opened(withFileOptions(given, file.options, buildOptions));
  const root = given.root ?? file.root;
  const run = await runOf(file, given);
  const isDeclared =
    (given.program ?? []).length === 0 &&
    given.profile === undefined &&
    ASKING.every((name) => name === 'file' || given[name] === undefined);
  return { args: root === undefined ? args : { ...args, root }, file, run, isDeclared };
}

/** Unpacks the root that a jail file names, if it is an image; that of the command line is open already. */
async function opened(args: BuildArguments): Promise<BuildArguments> {
  if (args.sysroot === undefined || args.sysrootImage !== undefined) return args;
  const { unpackedSysroot } = await import('./sysroot.js');
  return { ...args, ...(await unpackedSysroot(args.sysroot, args)) };
}

/** Returns the options of the jail file that the record keeps for `run`. */
async function runOf(file: JailFile, { run, quiet }: BuildArguments): Promise<BuildOptions['run']> {
  const { options: given, command } = file.run;
  const { checkedRun, recordableRun } = await import('./launch.js');
  if (Object.keys(given).length > 0) {
    const unkept = checkedRun(file, runOptions);
    if (unkept.length > 0 && !run && !quiet) {
      const names = unkept.map((name) => `--${name}`).join(' ');
      warn(`${file.name}: the jail does not remember ${names}: give it to \`jailbuild run\` again`);
    }
  }
  return recordableRun(given, command);
}

async function withManifest(args: BuildArguments, file: string): Promise<Wanted> {
  const other = ASKING.find((name) => args[name] !== undefined);
  if (other !== undefined) {
    throw new JailbuildError('USAGE', `--from and --${other} cannot be combined`);
  }
  const { readManifest } = await import('../../manifest/read.js');
  const manifest = readManifest(file);
  const from = { manifest, file: path.resolve(file), sysroot: args.sysroot };
  return { args, file: undefined, from };
}

/** Forms the request of a jail file, without target and command line. */
export function jailFileRequest(file: JailFile): ResolveRequest {
  return requestOf({ args: withFileOptions(NO_ARGUMENTS, file.options, buildOptions), file });
}

/** Forms the request of the options that determine the content of a jail. */
export function optionsRequest(args: Partial<BuildArguments>): ResolveRequest {
  return requestOf({ args: { ...NO_ARGUMENTS, ...args }, file: undefined });
}

/** After `--` comes the command of `--run`, or programs whose names begin with a dash. */
export function programsOf(args: BuildArguments): readonly string[] {
  const programs = args.program ?? [];
  return args.run ? programs : [...programs, ...(args['--'] ?? [])];
}

/** @throws JailbuildError USAGE, JAIL_FILE_INVALID */
export function requestOf(wanted: Wanted): ResolveRequest {
  return placed(wanted.file, () => formRequest(wanted));
}

function formRequest({ args, file }: Wanted): ResolveRequest {
  const profiles = [...(file?.profiles ?? []), ...(args.profile ?? []).map(profileName)];
  const users = [...(file?.users ?? []), ...(args.user ?? []).map(parseAccount)];
  const include = [...(file?.includes ?? []), ...(args.include ?? []).map(parseInclude)];
  const exclude = [...(file?.excludes ?? []), ...(args.exclude ?? [])];
  const directories = (args.directory ?? []).map((name) => path.resolve(name));
  const choices = resolveChoices(args);
  const traces = [...(file?.traces ?? []), ...(choices.traces ?? [])];
  return {
    programs: [...(file?.programs ?? []), ...programsOf(args)],
    ...(profiles.length === 0 ? {} : { profiles }),
    ...(users.length === 0 ? {} : { users }),
    ...(include.length === 0 ? {} : { include }),
    ...(exclude.length === 0 ? {} : { exclude }),
    ...(directories.length === 0 ? {} : { directories }),
    ...choices,
    ...(traces.length === 0 ? {} : { traces }),
    ...(traces.length > 0 && args['allow-missing'] ? { allowStaleTraces: true } : {}),
  };
}

/** Makes the path of a user's profile absolute, so that a record holds in any working directory. */
function profileName(name: string): string {
  return name.includes('/') ? path.resolve(name) : name;
}
