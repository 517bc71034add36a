import path from 'node:path';
import { JailbuildError } from '../errors.js';
import type { LaunchOptions } from '../launcher/options.js';
import { type Arguments, defineCommand } from './command.js';

const positionals = {
  root: {
    type: 'string',
    demandOption: true,
    describe: 'Directory of the jail',
    complete: 'directory',
  },
} as const;

const options = {
  hostname: {
    type: 'string',
    requiresArg: true,
    describe: "Host name in the jail [default: the directory's name]",
    placeholder: 'NAME',
  },
  network: {
    choices: ['host', 'none'],
    default: 'host',
    describe: "The host's network, or a loopback interface alone",
  },
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set a variable; the environment is else PATH, HOME and TERM',
    placeholder: 'NAME=VALUE',
  },
  workdir: {
    alias: 'w',
    type: 'string',
    requiresArg: true,
    describe: 'Working directory in the jail [default: /]',
    placeholder: 'DIR',
  },
  verbose: { alias: 'v', type: 'boolean', describe: 'Tell each step' },
} as const;

export const runCommand = defineCommand({
  name: 'run',
  usage: '<root>',
  summary: 'Run a command, or a shell, in a jail and in namespaces of its own',
  rest: {
    placeholder: '[command..]',
    describe: 'The command and its arguments; a shell of the jail without it',
    complete: 'jail-program',
  },
  positionals,
  options,
  examples: [['run /var/local/jail -- ps aux', 'Run one program in the jail']],
  run: (args) => enterJail(args.root, args['--'] ?? [], launchOptions(args)),
});

/** Runs a command in the jail and returns its exit status. */
export async function enterJail(
  root: string,
  command: readonly string[],
  launch: LaunchOptions = {},
): Promise<number> {
  const { runJail } = await import('../launcher/run.js');
  return runJail(path.resolve(root), launch, command);
}

function launchOptions(args: Arguments<typeof positionals, typeof options>): LaunchOptions {
  return {
    isolateNetwork: args.network === 'none',
    verbose: args.verbose ?? false,
    env: Object.fromEntries((args.env ?? []).map(variable)),
    ...(args.hostname === undefined ? {} : { hostname: args.hostname }),
    ...(args.workdir === undefined ? {} : { cwd: args.workdir }),
  };
}

function variable(text: string): [name: string, value: string] {
  const cut = text.indexOf('=');
  if (cut < 1) throw new JailbuildError('USAGE', `--env ${text}: give NAME=VALUE`);
  return [text.slice(0, cut), text.slice(cut + 1)];
}
