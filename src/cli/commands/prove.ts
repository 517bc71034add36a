import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { UnusedFiles } from '../../manifest/unused-files.js';
import { endText } from '../../prove/outcome.js';
import type { ProofRound } from '../../prove/prove.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { registryOptions, registryOptionsOf } from '../options/registry.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { provableOptions } from '../options/run.js';
import { observeOptions, observing } from '../options/trace.js';
import { jsonLine } from '../output/json.js';
import { keptText } from '../output/kept-text.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr, writeOut } from '../output/output.js';
import { formatSize, printable } from '../output/text.js';
import { unusedText } from '../output/unused-text.js';
import { reportError, reportLimits, warn } from '../report-error.js';
import { warnOfUncovering } from '../uncovering.js';

const options = {
  add: {
    type: 'boolean',
    describe: 'Add what is missing to the jail and run the command again, until it succeeds',
  },
  least: {
    type: 'boolean',
    describe:
      'With --add, finally remove files of packages that the run did not use, if it succeeds without them',
  },
  expect: {
    type: 'string',
    requiresArg: true,
    describe: 'Also require that the output matches this regular expression',
    placeholder: 'PATTERN',
  },
  proofs: {
    type: 'boolean',
    describe: 'Run all proofs of the jail file instead of a command, with the options of its `run`',
  },
  'jail-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Jail file with the proofs [default: the one that the jail was built from]',
    placeholder: 'FILE',
    complete: 'file',
  },
  unused: {
    type: 'boolean',
    describe: 'Report the files of the jail that no run used, by package',
  },
  'unused-file': {
    type: 'string',
    requiresArg: true,
    describe: 'Write the list of unused files to FILE, as JSON',
    placeholder: 'FILE',
    complete: 'file',
  },
  minimize: {
    type: 'string',
    requiresArg: true,
    describe: 'Write the unused files to FILE, as excludes for a jail file',
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
  summary: 'Run a command in a jail and report which files it misses',
  description: [
    'Runs the command as `run` does, with the same options, and observes it. Reports each file that it looked for, that the jail lacks and the host has, with the option that adds it. With --add, adds these files and runs the command again.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: "The command and its arguments [default: the jail's own command, or a shell]",
    complete: 'jail-program',
  },
  positionals: ROOT_ARGUMENT,
  options,
  examples: [
    ['prove /var/local/jail -- python3 app.py', 'Report the files that a program misses'],
    ['prove /var/local/jail --add -- python3 app.py', 'Add them, until the program runs'],
    [
      'prove /var/local/jail --proofs --unused',
      'Report the files that no proof of the jail file uses',
    ],
  ],
  exits: [
    [
      '125',
      'The command could not be started or observed; a line on standard error gives the reason',
    ],
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
  for (const { counts } of last) reportLimits(counts, args.mechanism);
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
      if (!args.json) reportRound(round, number, args);
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
      if (!args.json) reportRound(round, number, args, name);
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

function reportRound(
  round: ProofRound,
  number: number,
  { add, least }: ProveArguments,
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
  if (round.kept !== undefined) {
    writeErr(`jailbuild: ${head}${keptText(round.kept, what)}`);
    return;
  }
  writeErr(`jailbuild: ${head}${what} ${endText(round)}\n${lacksText(round)}`);
  if (least && number > 1 && !round.passes && round.added.length === 0)
    writeErr('  --least removes nothing: what the command uses is not known until it succeeds\n');
}

function jsonOf(proven: readonly Proven[], { proofs }: ProveArguments) {
  const isProven = proven.every(({ rounds }) => rounds.at(-1)?.passes);
  const status = isProven ? 'ok' : 'failed';
  const all = proven.map(({ name, rounds }) => ({ name, rounds: rounds.map(roundJson) }));
  return proofs ? { status, proofs: all } : { status, rounds: all[0]?.rounds ?? [] };
}

function roundJson(round: ProofRound) {
  const { status, passes, failure, output, remedies, added, trace, narrowed, kept } = round;
  return {
    status,
    passes,
    ...(failure === undefined ? {} : { failure }),
    ...(output === undefined ? {} : { output }),
    incomplete: trace.incomplete,
    remedies,
    added: added.map(({ cure }) => cure),
    ...(narrowed === undefined ? {} : { narrowed }),
    ...(kept === undefined ? {} : { kept: keptJson(kept) }),
  };
}

function keptJson({ size, failed, remedies }: NonNullable<ProofRound['kept']>) {
  if (failed === undefined) return { size };
  const { status, failure } = failed;
  return { size, failed: { status, failure, remedies } };
}
