import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { ProofRound } from '../../prove/prove.js';
import type { UnusedGroup } from '../../prove/unused.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { provableOptions } from '../options/run.js';
import { observeOptions, observing } from '../options/trace.js';
import { jsonLine } from '../output/json.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr, writeOut } from '../output/output.js';
import { formatSize, plural, printable } from '../output/text.js';
import { reportError, tellLimits } from '../report-error.js';
import { warnOfUncovering } from '../uncovering.js';

const options = {
  add: {
    type: 'boolean',
    describe: 'Bring what is lacking into the jail, and run again, until the command succeeds',
  },
  expect: {
    type: 'string',
    requiresArg: true,
    describe: 'The run succeeds only if its output matches this regular expression',
    placeholder: 'PATTERN',
  },
  unused: {
    type: 'boolean',
    describe: 'Report which files of the jail the run did not use, by package',
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

async function prove(args: ProveArguments): Promise<number> {
  const root = path.resolve(args.root);
  const { runnable } = await import('../options/launch.js');
  const { launch, command, network } = runnable(root, args);
  if (network !== undefined)
    throw new JailbuildError('USAGE', '--network: prove runs with host, none or ns:PATH alone');
  await warnOfUncovering(root, launch);
  const { proveJail } = await import('../../prove/prove.js');
  const rounds = await proveJail(
    root,
    command,
    {
      launch,
      ...observing(args),
      add: args.add ?? false,
      echo: !args.json,
      expect: {
        ...(args.expect === undefined ? {} : { output: patternOf(args.expect) }),
      },
    },
    (round, number) => {
      if (!args.json) tellRound(round, number, args);
    },
  );
  const last = rounds.at(-1);
  if (last === undefined) return EXIT.failure;
  const unused = args.unused || args.minimize !== undefined ? await unusedOf(root, last) : [];
  if (args.minimize !== undefined) {
    const { excludesText } = await import('../../prove/unused.js');
    const output = await prepareFile(args.minimize);
    await output.commit(excludesText(unused));
  }
  if (args.json) writeOut(jsonLine({ ...jsonOf(rounds), ...(args.unused ? { unused } : {}) }));
  else if (args.unused) writeErr(unusedText(unused));
  tellLimits(last.counts, args.mechanism);
  return last.passes || last.status !== 0 ? last.status : EXIT.failure;
}

async function unusedOf(root: string, { trace }: ProofRound): Promise<readonly UnusedGroup[]> {
  const { requireRecord } = await import('../../jail/record/record.js');
  const { Sysroot } = await import('../../fs/sysroot.js');
  const { findUnused } = await import('../../prove/unused.js');
  const { manifest, request } = requireRecord(root);
  return findUnused(manifest, trace, new Sysroot(root), new Sysroot(request.sysroot));
}

function unusedText(groups: readonly UnusedGroup[]): string {
  const size = groups.reduce((sum, group) => sum + group.size, 0);
  const count = groups.reduce((sum, group) => sum + group.paths.length, 0);
  const lines = groups.map((group) => {
    const name = group.package ?? 'files of no package';
    return `  ${formatSize(group.size).padStart(10)}  ${plural(group.paths.length, 'file')} of ${printable(name)}\n`;
  });
  return `jailbuild: unused: ${plural(count, 'file')}, ${formatSize(size)}\n${lines.join('')}`;
}

function patternOf(text: string): string {
  try {
    new RegExp(text, 'm');
    return text;
  } catch (error) {
    throw new JailbuildError('USAGE', `--expect ${text}: ${(error as Error).message}`);
  }
}

function tellRound(round: ProofRound, number: number, { add }: ProveArguments): void {
  const head = add ? `round ${number}: ` : '';
  const end = round.passes ? 'succeeded' : `failed with status ${round.status}`;
  writeErr(`jailbuild: ${head}the command ${end}\n${lacksText(round)}`);
}

function jsonOf(rounds: readonly ProofRound[]) {
  const last = rounds.at(-1);
  return {
    status: last?.passes ? 'ok' : 'failed',
    rounds: rounds.map(({ status, passes, output, remedies, added, trace }) => ({
      status,
      passes,
      ...(output === undefined ? {} : { output }),
      incomplete: trace.incomplete,
      remedies,
      added: added.map(({ cure }) => cure),
    })),
  };
}
