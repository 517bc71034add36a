/** The options of every command whose result depends on files of the host. */
export const depfileOptions = {
  depfile: {
    type: 'string',
    requiresArg: true,
    describe: 'Write a rule for make and ninja that lists the files on which the result depends',
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
