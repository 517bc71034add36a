import { JailbuildError } from '../../errors.js';
import { type Arguments, defineCommand } from '../command.js';
import { EXIT } from '../exit-status.js';
import { commandOptions } from '../options/run/command.js';
import { reportError } from '../report-error.js';

const positionals = {
  jail: {
    type: 'string',
    demandOption: true,
    describe: 'Root directory of a running jail, or the PID that ps shows',
    complete: 'directory',
  },
} as const;

const options = {
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: "Set a variable, or pass on the caller's [default: PATH, HOME, TERM]",
    placeholder: 'NAME[=VALUE]',
  },
  workdir: commandOptions.workdir,
  user: {
    alias: 'u',
    type: 'string',
    requiresArg: true,
    describe:
      "Run as this user of the jail's /etc/passwd, or as this ID [default: that of the jail's command]",
    placeholder: 'NAME|UID[:GROUP|GID]',
  },
  tty: { alias: 't', type: 'boolean', describe: 'Give the command a new terminal' },
  verbose: commandOptions.verbose,
} as const;

type ExecArguments = Arguments<typeof positionals, typeof options>;

export const execCommand = defineCommand({
  name: 'exec',
  usage: '<jail>',
  summary: 'Run another command in a running jail',
  description: [
    'The command joins the namespaces and cgroups of the jail, with the capabilities, the system call filter and the limits of the command that the jail was started with. It ends when the jail ends.',
  ],
  rest: {
    placeholder: '[command..]',
    describe: 'The command and its arguments [default: a shell of the jail]',
    complete: 'jail-program',
  },
  positionals,
  options,
  examples: [['exec /srv/jail -- ps aux', 'Look into a running jail']],
  exits: [
    ['125', 'The launcher failed; a line on standard error names the step and the reason'],
    ['126', 'The command cannot be executed'],
    ['127', 'The command is not in the jail'],
  ],
  async run(args: ExecArguments) {
    try {
      return await execInJail(args);
    } catch (error) {
      if (!(error instanceof JailbuildError) || error.code === 'USAGE') throw error;
      reportError(error, false);
      return EXIT.launcher;
    }
  },
});

async function execInJail(args: ExecArguments): Promise<number> {
  const { jailsNamed, runningJails } = await import('../../launcher/running.js');
  const { parseVariable } = await import('../../launcher/values.js');
  const { execInRunningJail } = await import('../../launcher/exec.js');
  // Of one's own jails alone: what another user's says of itself is not for us to follow.
  const found = jailsNamed(args.jail, runningJails(process.geteuid?.() ?? 0));
  const [jail, ...more] = found;
  if (jail === undefined)
    throw new JailbuildError(
      'LAUNCHER_FAILED',
      `${args.jail}: no such jail of this user is running: list jails with jailbuild ps`,
    );
  if (more.length > 0) {
    const pids = found.map(({ pid }) => pid).join(', ');
    throw new JailbuildError(
      'USAGE',
      `${args.jail}: ${found.length} jails run there: give a PID of ${pids}`,
    );
  }
  return execInRunningJail(jail, args['--'] ?? [], {
    env: Object.fromEntries((args.env ?? []).flatMap((text) => parseVariable('--env', text))),
    ...(args.user === undefined ? {} : { user: args.user }),
    ...(args.workdir === undefined ? {} : { cwd: args.workdir }),
    tty: args.tty ?? false,
    verbose: args.verbose ?? false,
  });
}
