import { JailbuildError } from '../../errors.js';
import type { BuildJob } from '../../jail/build/job.js';
import { planBuild, resultOf, runBuild } from '../../jail/build/pipeline.js';
import type { Proven } from '../../jail/build/verify-step.js';
import { isPrivileged } from '../../jail/write/stage.js';
import { canonicalJson } from '../../manifest/canonical-json.js';
import type { Manifest } from '../../manifest/manifest.js';
import { describePrivileged } from '../../manifest/privileged-files.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { buildKey } from '../front.js';
import { Interrupt } from '../interrupt.js';
import { prepareFile } from '../manifest-file.js';
import { optimizeLater } from '../optimize-later.js';
import { type BuildArguments, buildOptions, buildPositionals } from '../options/build.js';
import { changedPolicy } from '../options/changed.js';
import { placed, targetOf, withDefaults, withFileOptions } from '../options/jail-file.js';
import { limitsOf } from '../options/limits.js';
import { refuseIdlePlatform, registryOptionsOf } from '../options/registry.js';
import { programsOf, requestOf, type Wanted, withJailFile } from '../options/request.js';
import { runOptions } from '../options/run.js';
import { printsUnicode } from '../output/character-set.js';
import { buildReport, jsonLine } from '../output/json.js';
import { outputIsScreen, writeOut } from '../output/output.js';
import { buildPlain } from '../output/plain.js';
import { showingProgress } from '../output/progress.js';
import { printable } from '../output/text.js';
import {
  annotateMessages,
  reportAdvice,
  reportHint,
  reportWarnings,
  warn,
} from '../report-error.js';
import {
  dependsOn,
  mayStoreAnswer,
  type NextCommand,
  refuseAnswer,
  storeFirstAnswer,
} from '../stored-answer.js';
import { commitRule, prepareRule } from './build-depfile.js';

export const buildCommand = defineCommand({
  name: 'build',
  usage: '[root] [program..]',
  summary: 'Build a jail in which the programs run (the default command)',
  rest: {
    placeholder: '[command..]',
    describe: 'The command of --run, or programs whose names start with a dash',
    complete: 'program',
  },
  positionals: buildPositionals,
  options: buildOptions,
  examples: [
    ['/var/local/jail env bash ps ls top', 'Build a jail with five programs'],
    ['/srv/jail /opt/app/server --dry-run', 'Show what would be copied, and why'],
    ['/srv/jail bash --run -- bash', 'Build a jail and enter it'],
  ],
  async run(given) {
    const wanted = await withJailFile(given);
    const { args, file } = wanted;
    checkUsage(wanted);
    if (args.format === 'github') annotateMessages();
    await optimizeLater(args['dry-run'] ? undefined : targetOf(args.root));
    if (args['dry-run']) return dryRun(wanted);
    if (args.prove) await proveFirst(wanted);
    const status = await buildJail(wanted);
    if (status !== EXIT.ok || !args.run) return status;
    storeFirstAnswer();
    const { runCommand } = await import('./run.js');
    const run = withFileOptions(withDefaults(runOptions), file?.run.options ?? {}, runOptions);
    return runCommand.run({
      ...run,
      root: targetOf(args.root),
      '--': args['--'] ?? file?.run.command,
    });
  },
});

function checkUsage({ args, file }: Wanted): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  targetOf(args.root, file?.name);
  refuseIdlePlatform(args);
  const asked = [programsOf(args), args.profile ?? [], file?.programs ?? [], file?.profiles ?? []];
  const hasPrograms = asked.flat().length > 0;
  if (!hasPrograms && args.from === undefined) {
    usage(
      file === undefined
        ? `name at least one program or profile${nothingNamed(args)}`
        : `${file.name}: has no programs and no profiles, and none are named`,
    );
  }
  if (hasPrograms && args.from !== undefined) usage('--from and programs cannot be combined');
  if (args.quiet && args.verbose) usage('--quiet and --verbose cannot be combined');
  if (args.format !== undefined && args.format !== 'github' && !args['dry-run']) {
    usage(`--format ${args.format} requires --dry-run`);
  }
  if (args.prove && args['dry-run']) usage('--prove and --dry-run cannot be combined');
  if (args.run && args['dry-run']) usage('--run and --dry-run cannot be combined');
  if (args.run && args.json) usage('--run and --json cannot be combined');
}

/** Why a command line has none, where it looks as if it had. */
function nothingNamed({ root, include, user }: BuildArguments): string {
  if (root === undefined) return '';
  const other = include !== undefined ? '--include' : user !== undefined ? '--user' : undefined;
  if (other !== undefined) return `: ${other} alone does not make or change a jail`;
  return root.includes('/') ? '' : `: ${root} is taken for the directory of the jail`;
}

function jobOf(wanted: Wanted, interrupt?: Interrupt): BuildJob {
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
      limits: placed(wanted.file, () => limitsOf(args)),
      strict: args.strict ?? false,
      link: args.link ?? false,
      noSync: args['no-sync'] ?? false,
      noCache: args['no-cache'] ?? false,
      insecureParents: args['insecure-parents'] ?? false,
      wait: args.wait ?? false,
      onWait: () => warn(`waiting for another build in ${args.root}`),
      registry: registryOptionsOf(args),
      digests: args['dry-run'] === true || args.manifest !== undefined,
      recordDigests: args.digests ?? false,
      record: !args['no-record'],
      isRepeatable:
        !args.verbose &&
        wanted.file === undefined &&
        buildKey()?.target === args.root &&
        mayStoreAnswer(),
      ...changedPolicy(args),
      run: wanted.run,
      ...(wanted.file === undefined || !wanted.isDeclared ? {} : { file: wanted.file.path }),
      ...(interrupt === undefined
        ? {}
        : { signal: interrupt.signal, onWrite: onWrite(wanted, interrupt) }),
    },
  };
}

/** Runs the proofs in a jail of the same, which is built for that alone. */
async function proveFirst(wanted: Wanted): Promise<void> {
  const { args, file } = wanted;
  const { proofsOf } = await import('../options/proofs.js');
  const options = proofsOf(file, '--prove', args.quiet ?? false);
  const { proveRequest } = await import('../../prove/proofs.js');
  // With what the jail was built for before.
  const { request } = await planBuild(jobOf(wanted));
  const allowMissing = args['allow-missing'] ?? false;
  await proveRequest(request, { ...options, allowMissing, beside: targetOf(args.root) });
}

/** The last look at a plan before it is written. */
function onWrite(wanted: Wanted, interrupt: Interrupt) {
  return async (manifest: Manifest, sourceRoot: string): Promise<void> => {
    await checkRunUser(wanted, manifest, sourceRoot);
    interrupt.listen();
  };
}

/** Refuses a jail file whose `run` names a user that the jail does not have. */
async function checkRunUser(
  { args, file }: Wanted,
  manifest: Manifest,
  sourceRoot: string,
): Promise<void> {
  if (file?.run.options.user === undefined) return;
  const { refuseUnknownUser } = await import('../options/run-user.js');
  refuseUnknownUser(file, manifest, sourceRoot, args.root);
}

async function dryRun(wanted: Wanted): Promise<number> {
  const { args } = wanted;
  const job = jobOf(wanted);
  const file = args.manifest === undefined ? undefined : await prepareFile(args.manifest);
  let manifest: Manifest;
  let sourceRoot: string;
  try {
    const isShown = !args.json && !args.quiet && (await outputIsScreen());
    const planned = await showingProgress(isShown, (onWork) => planBuild(job, onWork));
    ({ manifest, sourceRoot } = planned);
    await checkRunUser(wanted, manifest, sourceRoot);
  } catch (error) {
    await file?.discard();
    throw error;
  }
  await file?.commit(canonicalJson(manifest));
  const sbom = await prepareSbom(args, undefined);
  const document = await sbom?.text(manifest, sourceRoot);
  if (sbom?.file !== undefined && document !== undefined) await sbom.file.commit(document);
  if (document !== undefined && sbom?.file === undefined) {
    writeOut(document);
  } else if (args.json || args.format === 'json') {
    writeOut(canonicalJson(manifest));
  } else {
    const { manifestTable } = await import('../output/manifest-table.js');
    writeOut(manifestTable(manifest));
  }
  reportWarnings(manifest, isPrivileged() ? describePrivileged(manifest.entries) : []);
  if (!args.quiet && !args.json) reportAdvice(manifest.advice ?? [], args.verbose ?? false);
  return EXIT.ok;
}

async function buildJail(wanted: Wanted): Promise<number> {
  const { args } = wanted;
  const file = args.manifest === undefined ? undefined : await prepareFile(args.manifest);
  const sbom = await prepareSbom(args, targetOf(args.root));
  const rule = await prepareRule(wanted);
  const interrupt = new Interrupt();
  const job = jobOf(wanted, interrupt);
  let built: Proven;
  try {
    built = await build(job, args);
    const { manifest, sourceRoot } = built.planned;
    await file?.commit(canonicalJson(manifest));
    await sbom?.file?.commit(await sbom.text(manifest, sourceRoot));
    if (rule !== undefined) await commitRule(rule, wanted, built.planned);
  } catch (error) {
    await file?.discard();
    await sbom?.file?.discard();
    await rule?.discard();
    return interrupt.statusAfter(error, 'nothing was changed');
  } finally {
    interrupt.stop();
  }
  const result = resultOf(built);
  if (args.json) writeOut(jsonLine(buildReport(job.target, result)));
  else if (!args.quiet && job.origin.kind === 'request') {
    await reportNotes(job.origin.request.profiles ?? []);
  }
  reportWarnings(result.manifest, result.warnings);
  if (!args.quiet && !args.json) reportAdvice(result.manifest.advice ?? [], args.verbose ?? false);
  if (args.verbose) for (const hint of result.manifest.hints ?? []) reportHint(hint);
  const { unchanged, repeatable } = built;
  if (unchanged !== undefined && printsOnly(wanted, built)) {
    dependsOn({ kind: 'jail', target: job.target, next: nextOf(args), ...unchanged });
  } else if (repeatable !== undefined && printsOnly(wanted, built)) {
    const isJson = args.json ?? false;
    const next = nextOf(args);
    dependsOn({ kind: 'new-jail', target: job.target, isJson, next, build: repeatable });
  }
  return EXIT.ok;
}

/** What `--run` does is what `run` does. */
function nextOf({ run, '--': command }: BuildArguments): NextCommand {
  if (!run) return [];
  return command === undefined ? ['run'] : ['run', '--', ...command];
}

/**
 * Returns whether a build has no other effect than its jail, its output and the command that follows, and depends on
 * nothing but the words, the host and the jail.
 */
function printsOnly({ args, file, from }: Wanted, { planned: { request } }: Proven): boolean {
  const others = [
    args.profile,
    args.trace,
    args.manifest,
    args.sbom,
    args['sbom-file'],
    args.depfile,
  ];
  const isPlain = others.every((value) => value === undefined) && !args.prove;
  return isPlain && file === undefined && from === undefined && request.sysrootImage === undefined;
}

/** Where the notes of the profiles that were named are to be read: what is left to do on the host. */
async function reportNotes(profiles: readonly string[]): Promise<void> {
  if (profiles.length === 0) return;
  const { loadProfiles } = await import('../../profile/load.js');
  // Included profiles precede it.
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

/** The renderer is loaded on demand: that of the terminal costs 20 ms. */
async function build(job: BuildJob, args: BuildArguments): Promise<Proven> {
  if (args.json || args.quiet) return runBuild(job);
  if ((await outputIsScreen()) && printsUnicode()) {
    refuseAnswer();
    const { buildLive } = await import('../output/live.js');
    return buildLive(job, args.verbose ?? false);
  }
  return buildPlain(job, args.verbose ?? false);
}
