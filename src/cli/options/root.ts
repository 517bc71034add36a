/** The one argument of the commands for a jail that is there. */
export const ROOT_ARGUMENT = {
  root: {
    type: 'string',
    demandOption: true,
    describe: 'Directory of the jail',
    complete: 'directory',
  },
} as const;
