import path from 'node:path';
import { BUILD_STEPS, type BuildJob, planJail } from '../build.js';
import { JailbuildError } from '../errors.js';
import { canonicalJson } from '../plan/canonical-json.js';
import type { Manifest } from '../plan/manifest.js';
import { describeMissing } from '../plan/missing.js';
import type { LdCacheChoice, ResolveRequest, TerminfoChoice } from '../resolve/request.js';
import { buildReport, jsonLine } from '../ui/json.js';
import { outputIsTerminal, writeErr, writeOut } from '../ui/output.js';
import { buildPlain } from '../ui/plain.js';
import { type Arguments, defineCommand } from './command.js';
import { EXIT, INTERRUPT_SIGNALS, type InterruptSignal, signalStatus } from './exit-status.js';
import { prepareFile } from './manifest-file.js';
import { warn } from './report-error.js';

const positionals = {
  root: {
    type: 'string',
    demandOption: true,
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
  'no-clobber': {
    alias: 'n',
    type: 'boolean',
    describe: 'Leave files that the jail has already',
  },
  sysroot: {
    type: 'string',
    requiresArg: true,
    describe: 'Take everything from this directory as if it were /',
  },
  terminfo: {
    type: 'string',
    requiresArg: true,
    describe: 'Terminal descriptions [default: that of TERM and the usual ones]',
    placeholder: 'all|none|NAME,...',
    complete: ['all', 'none'],
  },
  'ld-cache': {
    choices: ['generate', 'copy', 'none'],
    default: 'generate',
    describe: "The loader's library cache: made for the jail, or the host's, or none",
  },
  'library-path': {
    type: 'string',
    requiresArg: true,
    describe: 'Directories that the programs will have in LD_LIBRARY_PATH',
    placeholder: 'DIR[:DIR...]',
    complete: 'directory',
  },
  'allow-missing': {
    type: 'boolean',
    describe: 'Build although libraries cannot be found',
  },
  'dry-run': {
    type: 'boolean',
    describe: 'Write nothing; print the manifest',
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
  json: { type: 'boolean', describe: 'Print one JSON result' },
  quiet: { alias: 'q', type: 'boolean', describe: 'Print warnings and errors only' },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print every entry with what was done' },
} as const;

type BuildArguments = Arguments<typeof positionals, typeof options>;

export const buildCommand = defineCommand({
  name: 'build',
  usage: '<root> [program..]',
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
  async run(args) {
    checkUsage(args);
    if (args['dry-run']) return dryRun(args);
    const status = await buildJail(args);
    if (status !== EXIT.ok || !args.run) return status;
    const { enterJail } = await import('./run.js');
    return enterJail(args.root, args['--'] ?? []);
  },
});

function checkUsage(args: BuildArguments): void {
  const usage = (message: string): never => {
    throw new JailbuildError('USAGE', message);
  };
  if (programsOf(args).length === 0) usage('name at least one program');
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

function jobOf(args: BuildArguments, signal?: AbortSignal): BuildJob {
  return {
    request: requestOf(args),
    target: path.resolve(args.root),
    options: {
      noClobber: args['no-clobber'] ?? false,
      allowMissing: args['allow-missing'] ?? false,
      digests: args['dry-run'] === true || args.manifest !== undefined,
      ...(signal === undefined ? {} : { signal }),
    },
  };
}

function requestOf(args: BuildArguments): ResolveRequest {
  return {
    programs: programsOf(args),
    ldCache: args['ld-cache'] as LdCacheChoice,
    ...(args['library-path'] === undefined
      ? {}
      : { libraryPath: libraryPathOf(args['library-path'], args.sysroot) }),
    ...(args.sysroot === undefined ? {} : { sysroot: args.sysroot }),
    ...(args.terminfo === undefined ? {} : { terminfo: terminfoChoice(args.terminfo) }),
  };
}

/** As ld.so(8) takes LD_LIBRARY_PATH; what is relative starts here, or at the top of a sysroot. */
function libraryPathOf(text: string, sysroot: string | undefined): string[] {
  const base = sysroot === undefined ? process.cwd() : '/';
  return text.split(/[:;]/).map((directory) => path.resolve(base, directory));
}

function terminfoChoice(text: string): TerminfoChoice {
  if (text === 'all' || text === 'none') return text;
  const names = text.split(',').filter((name) => name !== '');
  if (names.length === 0 || names.some((name) => name.includes('/'))) {
    throw new JailbuildError('USAGE', `--terminfo ${text}: give all, none, or NAME,...`);
  }
  return names;
}

async function dryRun(args: BuildArguments): Promise<number> {
  const { request, target, options } = jobOf(args);
  const manifest = await planJail(request, target, options);
  if (args.json || args.format === 'json') {
    writeOut(canonicalJson(manifest));
  } else {
    const { manifestTable } = await import('../ui/manifest-table.js');
    writeOut(manifestTable(manifest));
  }
  tellWarnings(manifest);
  return EXIT.ok;
}

async function buildJail(args: BuildArguments): Promise<number> {
  const file = args.manifest === undefined ? undefined : await prepareFile(args.manifest);
  const interrupt = new Interrupt();
  const job = jobOf(args, interrupt.signal);
  try {
    await runSteps(job, args);
    if (job.manifest !== undefined) await file?.commit(canonicalJson(job.manifest));
  } catch (error) {
    await file?.discard();
    if (interrupt.received === undefined) throw error;
    writeErr(`jailbuild: ended by ${interrupt.received}, nothing was changed\n`);
    return signalStatus(interrupt.received);
  } finally {
    interrupt.stop();
  }
  if (args.json) writeOut(jsonLine(buildReport(job)));
  if (job.manifest !== undefined) tellWarnings(job.manifest);
  return EXIT.ok;
}

/** What shows the work loads only when it is wanted: the terminal's renderer costs 20 ms. */
async function runSteps(job: BuildJob, args: BuildArguments): Promise<void> {
  if (args.json || args.quiet) {
    for (const step of BUILD_STEPS) await step.run(job, () => {});
  } else if (await outputIsTerminal()) {
    const { buildLive } = await import('../ui/live.js');
    await buildLive(job, args.verbose ?? false);
  } else {
    await buildPlain(job, args.verbose ?? false);
  }
}

function tellWarnings(manifest: Manifest): void {
  for (const library of manifest.missing) warn(describeMissing(library));
  for (const warning of manifest.warnings) warn(warning);
}

/** Turns the first signal that asks to end into an abort, so that the target can be put back. */
class Interrupt {
  received: InterruptSignal | undefined;
  readonly #controller = new AbortController();
  readonly #listener = (signal: NodeJS.Signals): void => {
    this.received ??= signal as InterruptSignal;
    this.#controller.abort();
  };

  constructor() {
    for (const signal of INTERRUPT_SIGNALS) process.on(signal, this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    for (const signal of INTERRUPT_SIGNALS) process.off(signal, this.#listener);
  }
}
