import type { Arguments } from '../command.js';
import type { ROOT_ARGUMENT } from './root.js';

const NAMESPACES = 'Namespaces';

const FILES = 'Files';

const RIGHTS = 'Rights';

const LIMITS = 'Limits';

export const runOptions = {
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Set a variable [default: PATH, HOME, TERM and the variables set by profiles]',
    placeholder: 'NAME=VALUE',
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
    describe: 'Run in a session without a terminal',
  },
  'no-init': {
    type: 'boolean',
    describe: 'Run the command as PID 1, without an init that reaps orphans',
  },
  verbose: { alias: 'v', type: 'boolean', describe: 'Print each step' },
  observe: {
    type: 'boolean',
    describe: 'Report at the end what the jail lacked for the command, as `prove` does',
  },
  'print-command': {
    type: 'boolean',
    describe: 'Print the command line of the launcher, and run nothing',
  },
  'oci-bundle': {
    type: 'string',
    requiresArg: true,
    describe: 'Write an OCI runtime bundle of the same run to DIR, and run nothing',
    placeholder: 'DIR',
    complete: 'directory',
  },
  hostname: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: "Host name in the jail [default: the directory's name]",
    placeholder: 'NAME',
  },
  network: {
    group: NAMESPACES,
    choices: ['host', 'none'],
    describe: "The host's network, or only a loopback interface [default: host]",
  },
  ipc: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe:
      'Private message queues, semaphores and shared memory, or those of the host [default: private]',
  },
  cgroupns: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe: 'Show only the cgroups of the jail, or those of the host [default: private]',
  },
  userns: {
    group: NAMESPACES,
    choices: ['host', 'root', 'keep-id'],
    describe:
      'User namespace: none, or one in which the caller is root or keeps its ID [default: host for root, otherwise root]',
  },
  'map-auto': {
    group: NAMESPACES,
    type: 'boolean',
    describe: 'Map the subordinate IDs of /etc/subuid and /etc/subgid too',
  },
  uidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'User IDs of the namespace, range by range',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  gidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Group IDs of the namespace [default: as --uidmap]',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  monotonic: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Offset of CLOCK_MONOTONIC in seconds',
    placeholder: 'SECONDS',
  },
  boottime: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Offset of CLOCK_BOOTTIME, and so of the uptime, in seconds',
    placeholder: 'SECONDS',
  },
  'read-only': { group: FILES, type: 'boolean', describe: 'Mount the root read-only' },
  bind: {
    alias: 'volume',
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Bind-mount a file or directory of the host, without access to devices',
    placeholder: 'SRC[:DEST][:ro]',
    complete: 'file',
  },
  'dev-bind': {
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'As --bind, with access to devices',
    placeholder: 'SRC[:DEST][:ro]',
    complete: 'file',
  },
  tmpfs: {
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Mount an empty tmpfs, such as /tmp or /run:size=16m',
    placeholder: 'DEST[:OPTION,...]',
  },
  'no-dev': {
    group: FILES,
    type: 'boolean',
    describe: 'Do not mount a minimal /dev; use that of the jail, if any',
  },
  proc: {
    group: FILES,
    choices: ['masked', 'full', 'none'],
    describe: 'Mount /proc with host settings hidden, in full, or not at all [default: masked]',
  },
  user: {
    alias: 'u',
    group: RIGHTS,
    type: 'string',
    requiresArg: true,
    describe: "Run as this user of the jail's passwd",
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
    requiresArg: true,
    describe:
      'System call filter: a compiled filter in a file, the default, or none [default: default]',
    placeholder: 'FILE|default|off',
    complete: 'file',
  },
  'allow-new-privileges': {
    group: RIGHTS,
    type: 'boolean',
    describe: 'Let set-user-ID programs and file capabilities raise privileges',
  },
  umask: {
    group: RIGHTS,
    type: 'string',
    requiresArg: true,
    describe: 'File mode creation mask [default: 022]',
    placeholder: 'OCTAL',
  },
  memory: {
    alias: 'm',
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Memory of all processes together, without swap, set by a cgroup',
    placeholder: 'SIZE',
  },
  'pids-limit': {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Number of processes and threads, set by a cgroup',
    placeholder: 'N',
  },
  cpus: {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'CPU time, as a number of CPUs such as 1.5, set by a cgroup',
    placeholder: 'N',
  },
  ulimit: {
    group: LIMITS,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Resource limit of each process (setrlimit(2)), such as nofile=1024:2048',
    placeholder: 'NAME=SOFT[:HARD]',
  },
} as const;

export type RunArguments = Arguments<typeof ROOT_ARGUMENT, typeof runOptions>;
