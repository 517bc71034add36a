import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { BuildJob, BuildOptions, GivenManifest } from '../../jail/build/job.js';
import { planBuild, resultOf, runBuild } from '../../jail/build/pipeline.js';
import type { Proven } from '../../jail/build/verify-step.js';
import { parseAccount } from '../../manifest/account-request.js';
import { canonicalJson } from '../../manifest/canonical-json.js';
import { parseInclude } from '../../manifest/include-request.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { JailFile } from '../../profile/jail-file.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { Interrupt } from '../interrupt.js';
import { prepareFile } from '../manifest-file.js';
import { optimizeLater } from '../optimize-later.js';
import { changedOptions, changedPolicy } from '../options/changed.js';
import { findJailFile, targetOf, withDefaults, withFileOptions } from '../options/jail-file.js';
import { resolveChoices, resolveOptions } from '../options/resolve.js';
import { sbomOptions } from '../options/sbom.js';
import { printsUnicode } from '../output/character-set.js';
import { buildReport, jsonLine } from '../output/json.js';
import { outputIsScreen, writeOut } from '../output/output.js';
import { buildPlain } from '../output/plain.js';
import { printable } from '../output/text.js';
import { tellHint, tellWarnings, warn } from '../report-error.js';

const positionals = {
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

const options = {
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
  ...sbomOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print every entry with what was done' },
} as const;

/** What a manifest has settled already, or what would make the jail another one. */
const ASKING = [
  'file',
  'user',
  'include',
  'exclude',
  'no-clobber',
  'link',
  ...(Object.keys(resolveOptions) as (keyof typeof resolveOptions)[]).filter(
    (name) => name !== 'sysroot',
  ),
] as const;

type BuildArguments = Arguments<typeof positionals, typeof options>;

const NO_ARGUMENTS: BuildArguments = {
  root: undefined,
  program: undefined,
  ...withDefaults(options),
};

export const buildCommand = defineCommand({
  name: 'build',
  usage: '[root] [program..]',
  summary: 'Build a jail in which the programs run (the default command)',
  rest: {
    placeholder: '[command..]',
    describe: 'The command of --run, or programs whose names begin with a dash',
    complete: 'program',
  },
  positionals,
  options,
  examples: [
    ['/var/local/jail env bash ps ls top', 'Build a jail with five programs'],
    ['/srv/jail /opt/app/server --dry-run', 'Show what would be copied, and why'],
    ['/srv/jail bash --run -- bash', 'Build, and enter'],
  ],
  async run(given) {
    const wanted = await withJailFile(given);
    const { args, file } = wanted;
    checkUsage(wanted);
    await optimizeLater(args['dry-run'] ? undefined : targetOf(args.root));
    if (args['dry-run']) return dryRun(wanted);
    const status = await buildJail(wanted);
    if (status !== EXIT.ok || !args.run) return status;
    const { runCommand } = await import('./run.js');
    const run = withFileOptions(
      withDefaults(runCommand.options),
      file?.run.options ?? {},
      runCommand.options,
    );
    return runCommand.run({
      ...run,
      root: targetOf(args.root),
      '--': args['--'] ?? file?.run.command,
    });
  },
});

/** The command line and, beneath it, a jail file. */
interface Wanted {
  readonly args: BuildArguments;
  readonly file: JailFile | undefined;
  readonly from?: GivenManifest;
  /** What the record is to keep for `run`. */
  readonly run?: BuildOptions['run'] | undefined;
  /** The jail file says all that the jail is to hold. */
  readonly isDeclared?: boolean;
}

async function withJailFile(given: BuildArguments): Promise<Wanted> {
  if (given.from !== undefined) return withManifest(given, given.from);
  const named = findJailFile(given.file, given.root);
  if (named === undefined) return { args: given, file: undefined };
  const { readJailFile } = await import('../../profile/jail-file.js');
  const file = readJailFile(named);
  const args = withFileOptions(given, file.options, options);
  const root = given.root ?? file.root;
  const run = await runOf(file, given);
  const isDeclared =
    (given.program ?? []).length === 0 &&
    given.profile === undefined &&
    ASKING.every((name) => name === 'file' || given[name] === undefined);
  return { args: root === undefined ? args : { ...args, root }, file, run, isDeclared };
}

/** What the record of the jail is to keep of the file for `run`. */
async function runOf(file: JailFile, { run, quiet }: BuildArguments): Promise<BuildOptions['run']> {
  const { options: given, command } = file.run;
  const { checkedRun, recordableRun } = await import('../options/launch.js');
  if (Object.keys(given).length > 0) {
    const { runCommand } = await import('./run.js');
    const unkept = checkedRun(file, runCommand.options);
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
    throw new JailbuildError('USAGE', `--from and --${other} exclude each other`);
  }
  const { readManifest } = await import('../../manifest/read.js');
  const manifest = readManifest(file);
  const from = { manifest, file: path.resolve(file), sysroot: args.sysroot };
  return { args, file: undefined, from };
}

/** What a jail file asks for, without the target. Options of the command line are not looked at. */
export function jailFileRequest(file: JailFile): ResolveRequest {
  return requestOf({ args: withFileOptions(NO_ARGUMENTS, file.options, options), file });
}

/** What options of a command line ask for, those that say what goes into a jail. */
export function optionsRequest(args: Partial<BuildArguments>): ResolveRequest {
  return requestOf({ args: { ...NO_ARGUMENTS, ...args }, file: undefined });
}

function checkUsage({ args, file }: Wanted): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  targetOf(args.root, file?.name);
  const asked = [programsOf(args), args.profile ?? [], file?.programs ?? [], file?.profiles ?? []];
  const hasPrograms = asked.flat().length > 0;
  if (!hasPrograms && args.from === undefined) {
    usage(
      file === undefined
        ? 'name at least one program or profile'
        : `${file.name}: has no programs and no profiles, and none are named`,
    );
  }
  if (hasPrograms && args.from !== undefined) usage('--from and programs exclude each other');
  if (args.quiet && args.verbose) usage('--quiet and --verbose exclude each other');
  if (args.format !== undefined && !args['dry-run']) usage('--format goes with --dry-run');
  if (args.run && args['dry-run']) usage('--run and --dry-run exclude each other');
  if (args.run && args.json) usage('--run and --json exclude each other');
}

/** Behind `--` stands the command of `--run`, or programs whose names begin with a dash. */
function programsOf(args: BuildArguments): readonly string[] {
  const programs = args.program ?? [];
  return args.run ? programs : [...programs, ...(args['--'] ?? [])];
}

function jobOf(wanted: Wanted, signal?: AbortSignal): BuildJob {
  const { args, from } = wanted;
  return {
    origin:
      from === undefined
        ? { kind: 'request', request: requestOf(wanted) }
        : { kind: 'manifest', given: from },
    target: targetOf(args.root),
    options: {
      noClobber: args['no-clobber'] ?? false,
      allowMissing: args['allow-missing'] ?? false,
      strict: args.strict ?? false,
      link: args.link ?? false,
      noSync: args['no-sync'] ?? false,
      insecureParents: args['insecure-parents'] ?? false,
      wait: args.wait ?? false,
      onWait: () => warn(`waiting for another build in ${args.root}`),
      digests: args['dry-run'] === true || args.manifest !== undefined,
      recordDigests: args.digests ?? false,
      record: !args['no-record'],
      ...changedPolicy(args),
      run: wanted.run,
      ...(wanted.file === undefined || !wanted.isDeclared ? {} : { file: wanted.file.path }),
      ...(signal === undefined ? {} : { signal }),
    },
  };
}

function requestOf({ args, file }: Wanted): ResolveRequest {
  const profiles = [...(file?.profiles ?? []), ...(args.profile ?? []).map(profileName)];
  const users = [...(file?.users ?? []), ...(args.user ?? []).map(parseAccount)];
  const include = [...(file?.includes ?? []), ...(args.include ?? []).map(parseInclude)];
  const exclude = [...(file?.excludes ?? []), ...(args.exclude ?? [])];
  return {
    programs: [...(file?.programs ?? []), ...programsOf(args)],
    ...(profiles.length === 0 ? {} : { profiles }),
    ...(users.length === 0 ? {} : { users }),
    ...(include.length === 0 ? {} : { include }),
    ...(exclude.length === 0 ? {} : { exclude }),
    ...resolveChoices(args),
  };
}

/** A profile of the user's own is a path, which is to mean the same from anywhere. */
function profileName(name: string): string {
  return name.includes('/') ? path.resolve(name) : name;
}

async function dryRun(wanted: Wanted): Promise<number> {
  const { args } = wanted;
  const job = jobOf(wanted);
  const file = args.manifest === undefined ? undefined : await prepareFile(args.manifest);
  let manifest: Manifest;
  try {
    manifest = (await planBuild(job)).manifest;
  } catch (error) {
    await file?.discard();
    throw error;
  }
  await file?.commit(canonicalJson(manifest));
  const sbom = await prepareSbom(args, undefined);
  const document = await sbom?.text(manifest, args.sysroot);
  if (sbom?.file !== undefined && document !== undefined) await sbom.file.commit(document);
  if (document !== undefined && sbom?.file === undefined) {
    writeOut(document);
  } else if (args.json || args.format === 'json') {
    writeOut(canonicalJson(manifest));
  } else {
    const { manifestTable } = await import('../output/manifest-table.js');
    writeOut(manifestTable(manifest));
  }
  tellWarnings(manifest);
  return EXIT.ok;
}

async function buildJail(wanted: Wanted): Promise<number> {
  const { args } = wanted;
  const file = args.manifest === undefined ? undefined : await prepareFile(args.manifest);
  const sbom = await prepareSbom(args, targetOf(args.root));
  const interrupt = new Interrupt();
  const job = jobOf(wanted, interrupt.signal);
  let built: Proven;
  try {
    built = await build(job, args);
    const { manifest, sourceRoot } = built.planned;
    await file?.commit(canonicalJson(manifest));
    await sbom?.file?.commit(await sbom.text(manifest, sourceRoot));
  } catch (error) {
    await file?.discard();
    await sbom?.file?.discard();
    return interrupt.statusAfter(error, 'nothing was changed');
  } finally {
    interrupt.stop();
  }
  const result = resultOf(built);
  if (args.json) writeOut(jsonLine(buildReport(job.target, result)));
  else if (!args.quiet && job.origin.kind === 'request') {
    await tellNotes(job.origin.request.profiles ?? []);
  }
  tellWarnings(result.manifest, result.warnings);
  if (args.verbose) for (const hint of result.manifest.hints ?? []) tellHint(hint);
  return EXIT.ok;
}

/** Where the notes of the profiles that were named are to be read: what is left to do on the host. */
async function tellNotes(profiles: readonly string[]): Promise<void> {
  if (profiles.length === 0) return;
  const { loadProfiles } = await import('../../profile/load.js');
  // What a profile includes stands before it.
  const noted = profiles.filter((name) => loadProfiles([name]).at(-1)?.notes !== undefined);
  if (noted.length > 0) {
    writeOut(`Notes: jailbuild profiles show ${noted.map(printable).join(' ')}\n`);
  }
}

/** A bill of materials, and the file that it goes to; without a file, standard output. */
async function prepareSbom(args: BuildArguments, beside: string | undefined) {
  if (args.sbom === undefined && args['sbom-file'] === undefined) return undefined;
  const { manifestSbom, sbomRequest } = await import('./sbom-document.js');
  const request = sbomRequest(args, beside);
  if (request === undefined) return undefined;
  const file = request.file === undefined ? undefined : await prepareFile(request.file);
  return {
    file,
    text: (manifest: Manifest, sysroot: string | undefined) =>
      manifestSbom(request, manifest, sysroot),
  };
}

/** What shows the work loads only when it is wanted: the terminal's renderer costs 20 ms. */
async function build(job: BuildJob, args: BuildArguments): Promise<Proven> {
  if (args.json || args.quiet) return runBuild(job);
  if ((await outputIsScreen()) && printsUnicode()) {
    const { buildLive } = await import('../output/live.js');
    return buildLive(job, args.verbose ?? false);
  }
  return buildPlain(job, args.verbose ?? false);
}
