const RIGHTS = 'Rights';

/** Options for the rights of the command, of `run` and `prove`. */
export const rightOptions = {
  user: {
    alias: 'u',
    group: RIGHTS,
    type: 'string',
    requiresArg: true,
    describe: "Run as this user of the jail's /etc/passwd, or as this ID",
    placeholder: 'NAME|UID[:GROUP|GID]',
  },
  'cap-add': {
    group: RIGHTS,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Keep a capability that is dropped by default, or ALL',
    placeholder: 'NAME',
  },
  'cap-drop': {
    group: RIGHTS,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Drop a capability that is kept by default, or ALL',
    placeholder: 'NAME',
  },
  seccomp: {
    group: RIGHTS,
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'Filter system calls by an OCI profile, a compiled filter, the default, or not at all; several are stacked [default: default]',
    placeholder: 'FILE.json|FILE|default|off',
    complete: 'file',
  },
  landlock: {
    group: RIGHTS,
    type: 'boolean',
    describe: 'Use Landlock to restrict the command to the paths of the manifest and of its mounts',
  },
  'allow-new-privileges': {
    group: RIGHTS,
    type: 'boolean',
    describe: 'Let set-user-ID programs and file capabilities raise privileges',
  },
  'exec-label': {
    group: RIGHTS,
    type: 'string',
    requiresArg: true,
    describe: 'Run with this SELinux label or AppArmor profile',
    placeholder: 'LABEL',
  },
  umask: {
    group: RIGHTS,
    type: 'string',
    requiresArg: true,
    describe: 'File mode creation mask [default: 022]',
    placeholder: 'OCTAL',
  },
} as const;
