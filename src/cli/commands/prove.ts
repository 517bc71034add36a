import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { UnusedFiles } from '../../manifest/unused-files.js';
import type { ProofRound } from '../../prove/prove.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { registryOptions, registryOptionsOf } from '../options/registry.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { provableOptions } from '../options/run.js';
import { observeOptions, observing } from '../options/trace.js';
import { jsonLine } from '../output/json.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr, writeOut } from '../output/output.js';
import { formatSize, printable } from '../output/text.js';
import { unusedText } from '../output/unused-text.js';
import { reportError, tellLimits, warn } from '../report-error.js';
import { warnOfUncovering } from '../uncovering.js';

const options = {
  add: {
    type: 'boolean',
    describe: 'Bring what is lacking into the jail, and run again, until the command succeeds',
  },
  least: {
    type: 'boolean',
    describe:
      'With --add, then leave out what packages brought and the run did not use, if it succeeds without',
  },
  expect: {
    type: 'string',
    requiresArg: true,
    describe: 'The run succeeds only if its output matches this regular expression',
    placeholder: 'PATTERN',
  },
  proofs: {
    type: 'boolean',
    describe: 'Run all proofs of the jail file, as its `run` says, rather than a command',
  },
  'jail-file': {
    type: 'string',
    requiresArg: true,
    describe: 'The jail file whose proofs to run [default: the one that the jail was built from]',
    placeholder: 'FILE',
    complete: 'file',
  },
  unused: {
    type: 'boolean',
    describe: 'Report which files of the jail no run used, by package',
  },
  'unused-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Write these files to FILE, as JSON',
    placeholder: 'FILE',
    complete: 'file',
  },
  minimize: {
    type: 'string',
    requiresArg: true,
    describe: 'Write these files to FILE, as the excludes of a jail file',
    placeholder: 'FILE',
    complete: 'file',
  },
  ...observeOptions,
  json: { type: 'boolean', describe: 'Print one JSON result' },
  ...provableOptions,
  ...registryOptions,
} as const;

type ProveArguments = Arguments<typeof ROOT_ARGUMENT, typeof options>;

export const proveCommand = defineCommand({
  name: 'prove',
  usage: '<root>',
  summary: 'Run a command in a jail and report what the jail lacks for it',
  description: [
    'Runs the command as `run` does, with the same options, and observes it. What it looks for, that is not in the jail and is on the host, is reported with what would bring it. With --add, that is brought, and the command is run again.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: "The command and its arguments; without it, the jail's own command, or a shell",
    complete: 'jail-program',
  },
  positionals: ROOT_ARGUMENT,
  options,
  examples: [
    ['prove /var/local/jail -- python3 app.py', 'Report what a program lacks'],
    ['prove /var/local/jail --add -- python3 app.py', 'Bring it, until the program runs'],
    ['prove /var/local/jail --proofs --unused', 'Report what no proof of the jail file uses'],
  ],
  exits: [
    ['125', 'The command could not be started or observed; a line on standard error tells why'],
  ],
  async run(args) {
    try {
      return await prove(args);
    } catch (error) {
      if (!(error instanceof JailbuildError) || error.code === 'USAGE') throw error;
      reportError(error, args.json ?? false);
      return EXIT.launcher;
    }
  },
});

/** The rounds of one command; the name is that of a proof. */
interface Proven {
  readonly name?: string;
  readonly command: readonly string[];
  readonly rounds: readonly ProofRound[];
}

async function prove(args: ProveArguments): Promise<number> {
  if (args.least && !args.add) throw new JailbuildError('USAGE', '--least requires --add');
  const root = path.resolve(args.root);
  const proven = args.proofs ? await proveFile(root, args) : [await proveCommandLine(root, args)];
  const last = proven.flatMap(({ rounds }) => rounds.slice(-1));
  const isProven = last.every(({ passes }) => passes);
  const unused = isProven ? await unusedOf(root, proven, args) : undefined;
  if (!isProven && wantsUnused(args))
    warn('a run failed: what it would have used is not known, and nothing is reported as unused');
  if (args.json) {
    const { groups } = unused ?? {};
    writeOut(
      jsonLine({ ...jsonOf(proven, args), ...(groups === undefined ? {} : { unused: groups }) }),
    );
  } else if (args.unused && unused !== undefined) writeErr(unusedText(unused));
  for (const { counts } of last) tellLimits(counts, args.mechanism);
  const [only] = last;
  if (!args.proofs && only !== undefined && only.status !== 0) return only.status;
  return isProven ? EXIT.ok : EXIT.failure;
}

/** Proves one command in a jail. */
async function proveCommandLine(root: string, args: ProveArguments): Promise<Proven> {
  if (args['jail-file'] !== undefined)
    throw new JailbuildError('USAGE', '--jail-file requires --proofs');
  const { runnable } = await import('../options/launch.js');
  const { launch, command, network } = runnable(root, args);
  if (network !== undefined)
    throw new JailbuildError('USAGE', '--network: prove supports only host, none and ns:PATH');
  await warnOfUncovering(root, launch);
  const { proveJail } = await import('../../prove/prove.js');
  const rounds = await proveJail(
    root,
    command,
    {
      launch,
      ...observing(args),
      add: args.add ?? false,
      least: args.least ?? false,
      echo: !args.json,
      registry: registryOptionsOf(args),
      expect: {
        ...(args.expect === undefined ? {} : { output: patternOf(args.expect) }),
      },
    },
    (round, number) => {
      if (!args.json) tellRound(round, number, args);
    },
  );
  return { command, rounds };
}

/** Proves all proofs of a jail file in a jail. */
async function proveFile(root: string, args: ProveArguments): Promise<readonly Proven[]> {
  if ((args['--'] ?? []).length > 0 || args.expect !== undefined)
    throw new JailbuildError('USAGE', '--proofs cannot be combined with a command or --expect');
  const { requireRecord } = await import('../../jail/record/record.js');
  const { readJailFile } = await import('../../profile/jail-file.js');
  const { proofsOf } = await import('../options/proofs.js');
  const { proveProofs } = await import('../../prove/proofs.js');
  const file = args['jail-file'] ?? requireRecord(root).file;
  const options = proofsOf(file === undefined ? undefined : readJailFile(file), '--proofs', true);
  const { mechanism, linger } = observing(args);
  return proveProofs(
    root,
    options,
    {
      mechanism,
      linger,
      add: args.add ?? false,
      least: args.least ?? false,
      registry: registryOptionsOf(args),
    },
    (name, round, number) => {
      if (!args.json) tellRound(round, number, args, name);
    },
  );
}

function wantsUnused(args: ProveArguments): boolean {
  return args.unused === true || args.minimize !== undefined || args['unused-file'] !== undefined;
}

/** What no run used, written where that is asked for. */
async function unusedOf(
  root: string,
  proven: readonly Proven[],
  args: ProveArguments,
): Promise<UnusedFiles | undefined> {
  if (!wantsUnused(args)) return undefined;
  const { requireRecord } = await import('../../jail/record/record.js');
  const { Sysroot } = await import('../../fs/sysroot.js');
  const { excludesText, findUnused } = await import('../../prove/unused.js');
  const { unusedFilesJson } = await import('../../manifest/unused-files.js');
  const { openSysroot } = await import('../../plan/open-sysroot.js');
  const { manifest, request } = requireRecord(root);
  const { sysroot } = await openSysroot(request, registryOptionsOf(args));
  const runs = proven.flatMap(({ name, command, rounds }) =>
    rounds
      .slice(-1)
      .map(({ trace }) => ({ ...(name === undefined ? {} : { name }), command, trace })),
  );
  const unused = await findUnused(manifest, runs, new Sysroot(root), new Sysroot(sysroot));
  await write(args.minimize, excludesText(unused));
  await write(args['unused-file'], unusedFilesJson(unused));
  return unused;
}

async function write(file: string | undefined, text: string): Promise<void> {
  if (file === undefined) return;
  const output = await prepareFile(file);
  await output.commit(text);
}

function patternOf(text: string): string {
  try {
    new RegExp(text, 'm');
    return text;
  } catch (error) {
    throw new JailbuildError('USAGE', `--expect ${text}: ${(error as Error).message}`);
  }
}

function tellRound(
  round: ProofRound,
  number: number,
  { add }: ProveArguments,
  proof?: string,
): void {
  const head = add ? `round ${number}: ` : '';
  const what = proof === undefined ? 'the command' : `proof ${printable(proof)}`;
  if (round.narrowed !== undefined) {
    const { from, to } = round.narrowed;
    writeErr(
      `jailbuild: ${head}${what} succeeded with what it used alone: ${formatSize(to)} instead of ${formatSize(from)}\n`,
    );
    return;
  }
  const end = round.passes ? 'succeeded' : `failed with status ${round.status}`;
  writeErr(`jailbuild: ${head}${what} ${end}\n${lacksText(round)}`);
}

function jsonOf(proven: readonly Proven[], { proofs }: ProveArguments) {
  const isProven = proven.every(({ rounds }) => rounds.at(-1)?.passes);
  const status = isProven ? 'ok' : 'failed';
  const all = proven.map(({ name, rounds }) => ({ name, rounds: rounds.map(roundJson) }));
  return proofs ? { status, proofs: all } : { status, rounds: all[0]?.rounds ?? [] };
}

function roundJson({ status, passes, output, remedies, added, trace, narrowed }: ProofRound) {
  return {
    status,
    passes,
    ...(output === undefined ? {} : { output }),
    incomplete: trace.incomplete,
    remedies,
    added: added.map(({ cure }) => cure),
    ...(narrowed === undefined ? {} : { narrowed }),
  };
}
