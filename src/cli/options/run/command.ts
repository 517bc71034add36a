/** Options for the command itself, of `run` and `prove`. */
export const commandOptions = {
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      "Set a variable, or pass on the caller's [default: PATH, HOME, TERM and the variables set by profiles]",
    placeholder: 'NAME[=VALUE]',
  },
  'env-file': {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set the variables listed in a file, one NAME[=VALUE] per line',
    placeholder: 'FILE',
    complete: 'file',
  },
  workdir: {
    alias: ['w', 'cwd', 'chdir'],
    type: 'string',
    requiresArg: true,
    describe: 'Working directory in the jail [default: /]',
    placeholder: 'DIR',
  },
  tty: {
    alias: 't',
    type: 'boolean',
    describe: 'Give the command a new terminal instead of the current one',
  },
  'new-session': {
    type: 'boolean',
    describe: 'Run the command in a new session without a terminal',
  },
  'no-init': {
    type: 'boolean',
    describe: 'Run the command as PID 1, without an init that reaps orphans',
  },
  argv0: {
    type: 'string',
    requiresArg: true,
    describe: 'Set argv[0] of the command',
    placeholder: 'NAME',
  },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print each step' },
} as const;

/** Options of `run` for what to do instead of, or after, running the command. */
export const reportOptions = {
  observe: {
    type: 'boolean',
    describe: 'At the end, report what the command looked for and the jail lacked, as `prove` does',
  },
  'print-command': {
    type: 'boolean',
    describe: 'Print the command line of the launcher and run nothing',
  },
  'oci-bundle': {
    type: 'string',
    requiresArg: true,
    describe: 'Write an OCI bundle of this run to DIR and run nothing',
    placeholder: 'DIR',
    complete: 'directory',
  },
  args: {
    type: 'string',
    requiresArg: true,
    describe: 'Read further arguments from a descriptor or file, each ended by a NUL byte',
    placeholder: 'FD|FILE',
    complete: 'file',
  },
} as const;
