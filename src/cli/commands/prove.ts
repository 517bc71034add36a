import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { ProofRound } from '../../prove/prove.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { provableOptions } from '../options/run.js';
import { observeOptions, observing } from '../options/trace.js';
import { jsonLine } from '../output/json.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr, writeOut } from '../output/output.js';
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
  if (args.json) writeOut(jsonLine(jsonOf(rounds)));
  tellLimits(last.counts, args.mechanism);
  return last.passes || last.status !== 0 ? last.status : EXIT.failure;
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
