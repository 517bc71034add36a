/** The options of every command whose result depends on files of the host. */
export const depfileOptions = {
  depfile: {
    type: 'string',
    requiresArg: true,
    describe: 'Write the files that the result rests on, as a rule for make and ninja',
    complete: 'file',
  },
  'depfile-target': {
    type: 'string',
    requiresArg: true,
    describe: 'Target of that rule [default: the output]',
    placeholder: 'NAME',
    complete: 'file',
  },
} as const;
