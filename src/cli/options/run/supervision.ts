const SUPERVISION = 'Supervision';

/** Options of `run` for the program that calls it. */
export const supervisionOptions = {
  'die-with-parent': {
    group: SUPERVISION,
    type: 'boolean',
    describe: 'Kill the jail when the calling process ends',
  },
  'preserve-fds': {
    group: SUPERVISION,
    type: 'string',
    requiresArg: true,
    describe: 'Pass this many descriptors to the command, starting at 3',
    placeholder: 'N',
  },
  fd: {
    group: SUPERVISION,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Pass this descriptor to the command',
    placeholder: 'FD',
  },
  'info-fd': {
    group: SUPERVISION,
    type: 'string',
    requiresArg: true,
    describe: 'Write a line of JSON with the PID of the first process and the namespaces',
    placeholder: 'FD',
  },
  'json-status-fd': {
    group: SUPERVISION,
    type: 'string',
    requiresArg: true,
    describe: 'Write the same, and at the end the exit status of a command that was started',
    placeholder: 'FD',
  },
  'block-fd': {
    group: SUPERVISION,
    type: 'string',
    requiresArg: true,
    describe: 'Start the command when this becomes readable or is closed',
    placeholder: 'FD',
  },
  'sync-fd': {
    group: SUPERVISION,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Keep this descriptor open while the jail runs',
    placeholder: 'FD',
  },
  'lock-file': {
    group: SUPERVISION,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Hold a read lock on this file of the jail while the jail runs',
    placeholder: 'DEST',
  },
} as const;
