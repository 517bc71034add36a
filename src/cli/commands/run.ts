import path from 'node:path';
import { JailbuildError } from '../../errors.js';
import type { LaunchOptions } from '../../launcher/options.js';
import type { OverlayChanges } from '../../launcher/overlay-changes.js';
import { defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { prepareFile } from '../manifest-file.js';
import { ROOT_ARGUMENT } from '../options/root.js';
import { type RunArguments, runOptions } from '../options/run.js';
import { lacksText } from '../output/lacks-text.js';
import { writeErr, writeOut } from '../output/output.js';
import { printable } from '../output/text.js';
import { reportError, reportLimits } from '../report-error.js';
import { warnOfUncovering } from '../uncovering.js';

export const runCommand = defineCommand({
  name: 'run',
  usage: '<root>',
  summary: 'Run a command or a shell in a jail, in its own namespaces',
  description: [
    'Without options, the command sees the jail as its root, a minimal /dev, a /proc with its own processes only, and the network of the host. It has few capabilities and cannot gain more; system calls that affect the whole machine are denied. docs/security.md describes what this protects from and what it does not.',
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
    ['run /srv/jail --network none --read-only --user 1000 -- app', 'Run an untrusted program'],
    ['run /srv/jail --bind /srv/data:/data:ro --memory 256m -- app', 'Mount data and limit memory'],
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
      // Any other status may come from the command.
      if (!(error instanceof JailbuildError) || error.code === 'USAGE') throw error;
      reportError(error, false);
      return EXIT.launcher;
    }
  },
});

async function runInJail(args: RunArguments): Promise<number> {
  const root = path.resolve(args.root);
  const { runnable } = await import('../options/launch.js');
  const { launch: asked, command, network } = runnable(root, args);
  const launch = await withListeners(asked);
  if (args['oci-bundle'] !== undefined)
    return writeBundle(args['oci-bundle'], root, launch, command);
  if (args.observe && !args['print-command']) {
    await warnOfUncovering(root, launch);
    return runObserved(root, launch, command);
  }
  const { printCommand, runJail } = await import('../../launcher/run.js');
  if (!args['print-command']) {
    await warnOfUncovering(root, launch);
    await rememberLaunch(root);
    const changes = await changesReport(root, args);
    const status = await runJail(root, launch, command, {
      ...(network === undefined ? {} : { network }),
      ...(changes === undefined ? {} : { onChanges: changes.take }),
    });
    await changes?.write();
    if (status === NOT_EXECUTABLE || status === NOT_FOUND) suggestProve(args.root, command);
    return status;
  }
  writeOut(`${printCommand(root, launch, command)}\n`);
  return EXIT.ok;
}

/** Reports what the command wrote to its overlay, if requested. */
async function changesReport(
  root: string,
  args: RunArguments,
): Promise<{ take(records: Buffer): void; write(): Promise<void> } | undefined> {
  const { 'list-changes': lists, 'changes-file': file, overlay } = args;
  if (!lists && file === undefined) return undefined;
  if (overlay === undefined)
    throw new JailbuildError('USAGE', '--list-changes and --changes-file require --overlay');
  const { overlayChanges } = await import('../../launcher/overlay-changes.js');
  const { overlayJson, overlayText } = await import('../output/overlay-text.js');
  const pending = file === undefined ? undefined : await prepareFile(file);
  let found: OverlayChanges | undefined;
  return {
    take(records) {
      found = overlayChanges(root, records);
    },
    async write() {
      if (found === undefined) return pending?.discard();
      if (lists) writeErr(overlayText(found));
      await pending?.commit(overlayJson(root, overlay, found));
    },
  };
}

/** Lets the native front start the launcher directly for later runs of the jail, if it can. */
async function rememberLaunch(root: string): Promise<void> {
  const { rememberDefaults } = await import('../remembered-launch.js');
  await rememberDefaults(root);
}

/** Passes sockets that a supervisor gave to this process on to the command (sd_listen_fds(3)). */
async function withListeners(launch: LaunchOptions): Promise<LaunchOptions> {
  const { LISTEN_FDS = '', LISTEN_FDNAMES, LISTEN_PID } = process.env;
  if (LISTEN_PID !== String(process.pid) || !/^[1-9]\d*$/.test(LISTEN_FDS)) return launch;
  const { parseDescriptorCount } = await import('../../launcher/values.js');
  const names = LISTEN_FDNAMES === undefined ? {} : { LISTEN_FDNAMES };
  return {
    ...launch,
    listenFds: parseDescriptorCount('LISTEN_FDS', LISTEN_FDS),
    env: { ...launch.env, ...names },
  };
}

/**
 * The exit statuses of a command that cannot start, or does not find its libraries (env(1);
 * ld.so(8) ends with 127).
 */
const [NOT_EXECUTABLE, NOT_FOUND] = [126, 127];

function suggestProve(root: string, command: readonly string[]): void {
  const words = ['jailbuild', 'prove', root, '--', ...command].join(' ');
  writeErr(`jailbuild: \`${printable(words)}\` reports what the jail lacks\n`);
}

async function runObserved(
  root: string,
  launch: LaunchOptions,
  command: readonly string[],
): Promise<number> {
  const { proveJail } = await import('../../prove/prove.js');
  const [round] = await proveJail(root, command, { launch });
  if (round === undefined) return EXIT.launcher;
  writeErr(`jailbuild: the command ended with status ${round.status}\n${lacksText(round)}`);
  reportLimits(round.counts);
  return round.status;
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
