/** The positional of commands for an existing jail. */
export const ROOT_ARGUMENT = {
  root: {
    type: 'string',
    demandOption: true,
    describe: 'Directory of the jail',
    complete: 'directory',
  },
} as const;
