import path from 'node:path';
import { defineCommand } from './command.js';

const positionals = {
  root: { type: 'string', demandOption: true, describe: 'Directory of the jail' },
} as const;

const options = {} as const;

export const runCommand = defineCommand({
  name: 'run',
  usage: '<root>',
  summary: 'Run a command in a jail, in namespaces of its own',
  positionals,
  options,
  examples: [['run /var/local/jail -- ps aux', 'Run one program in the jail']],
  run: (args) => enterJail(args.root, args['--'] ?? []),
});

/** Runs a command in the jail as `run` does without options, and returns the exit status. */
export async function enterJail(root: string, command: readonly string[]): Promise<number> {
  const { runJail } = await import('../launcher/run.js');
  return runJail(path.resolve(root), {}, command);
}
