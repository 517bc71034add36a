import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { LaunchOptions } from '../../launcher/options.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { type RunArguments, runOptions } from '../options/run.js';
import { writeOut } from '../output/output.js';
import { reportError } from '../report-error.js';

export const runCommand = defineCommand({
  name: 'run',
  usage: '<root>',
  summary: 'Run a command or a shell in a jail, in namespaces of its own',
  description: [
    'Without options, the command sees the jail as its root, a minimal /dev, a /proc of its own processes, and the network of the host. It has few capabilities and cannot gain others, and system calls that concern the machine as a whole are denied. docs/security.md describes what this protects from and what it does not.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: 'The command and its arguments [default: a shell of the jail]',
    complete: 'jail-program',
  },
  positionals: ROOT_ARGUMENT,
  options: runOptions,
  examples: [
    ['run /var/local/jail -- ps aux', 'Run one program in the jail'],
    [
      'run /srv/jail --network none --read-only --user 1000 -- app',
      'Run a program that is not trusted',
    ],
    ['run /srv/jail --bind /srv/data:/data:ro --memory 256m -- app', 'With data, and a limit'],
  ],
  exits: [
    ['125', 'The launcher failed; a line on standard error names the step and the reason'],
    ['126', 'The command cannot be executed'],
    ['127', 'The command is not in the jail'],
  ],
  async run(args) {
    try {
      return await runInJail(args);
    } catch (error) {
      // Any other status may be the command's own.
      if (!(error instanceof JailbuildError) || error.code === 'USAGE') throw error;
      reportError(error, false);
      return EXIT.launcher;
    }
  },
});

async function runInJail(args: RunArguments): Promise<number> {
  const root = path.resolve(args.root);
  const { hideRecord, launchOptions, withRecordedDefaults } = await import('../options/launch.js');
  const all = withRecordedDefaults(root, args, runOptions);
  const launch = hideRecord(root, launchOptions(all));
  const command = all['--'] ?? [];
  if (args['oci-bundle'] !== undefined)
    return writeBundle(args['oci-bundle'], root, launch, command);
  if (isWithoutOptions(args)) {
    const { rememberLaunch } = await import('../remembered-launch.js');
    const { '--': recorded = [] } = withRecordedDefaults(
      root,
      { ...args, '--': undefined },
      runOptions,
    );
    await rememberLaunch(root, launch, recorded);
  }
  const { printCommand, runJail } = await import('../../launcher/run.js');
  if (!args['print-command']) return runJail(root, launch, command);
  writeOut(`${printCommand(root, launch, command)}\n`);
  return EXIT.ok;
}

/** Whether all that the launcher is told comes from the jail's record. */
function isWithoutOptions(args: RunArguments): boolean {
  return Object.keys(runOptions).every((name) => args[name as keyof RunArguments] === undefined);
}

async function writeBundle(
  directory: string,
  root: string,
  launch: LaunchOptions,
  command: readonly string[],
): Promise<number> {
  const { writeOciBundle } = await import('../../launcher/oci-bundle.js');
  await writeOciBundle(directory, root, launch, command);
  return EXIT.ok;
}
