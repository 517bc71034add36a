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
    describe: 'Set a variable; the environment is else PATH, HOME, TERM and what the profiles set',
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
    describe: 'Give the command a new terminal, rather than the present one',
  },
  'new-session': {
    type: 'boolean',
    describe: 'Run in a session without a terminal',
  },
  'no-init': {
    type: 'boolean',
    describe: 'Let the command be the first process: nothing reaps what others leave behind',
  },
  verbose: { alias: 'v', type: 'boolean', describe: 'Tell each step' },
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
    describe: "The host's network, or a loopback interface alone [default: host]",
  },
  ipc: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe:
      'Message queues, semaphores and shared memory of its own, or those of the host [default: private]',
  },
  cgroupns: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe:
      'The cgroup hierarchy from the own group down, or as the host sees it [default: private]',
  },
  userns: {
    group: NAMESPACES,
    choices: ['host', 'root', 'keep-id'],
    describe:
      'Users of the host; or a namespace where the present user is root, or keeps its number [default: host for root, else root]',
  },
  'map-auto': {
    group: NAMESPACES,
    type: 'boolean',
    describe: 'Further users and groups from /etc/subuid and /etc/subgid',
  },
  uidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Users of the namespace, one range after the other',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  gidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Groups of the namespace [default: as --uidmap]',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  monotonic: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Seconds to add to the clock CLOCK_MONOTONIC',
    placeholder: 'SECONDS',
  },
  boottime: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Seconds to add to the clock CLOCK_BOOTTIME, and so to the uptime',
    placeholder: 'SECONDS',
  },
  'read-only': { group: FILES, type: 'boolean', describe: 'Mount the root read-only' },
  bind: {
    alias: 'volume',
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Mount a file or directory of the host; devices in it do not work',
    placeholder: 'SRC[:DEST][:ro]',
    complete: 'file',
  },
  'dev-bind': {
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'As --bind, and devices work',
    placeholder: 'SRC[:DEST][:ro]',
    complete: 'file',
  },
  tmpfs: {
    group: FILES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Mount an empty file system in memory, such as /tmp or /run:size=16m',
    placeholder: 'DEST[:OPTION,...]',
  },
  'no-dev': {
    group: FILES,
    type: 'boolean',
    describe: "Mount no minimal /dev; the jail's own, if any, is used",
  },
  proc: {
    group: FILES,
    choices: ['masked', 'full', 'none'],
    describe:
      'Mount /proc without what concerns the host, with it, or not at all [default: masked]',
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
      'The filter for system calls: a file with one in binary form, the default one, or none [default: default]',
    placeholder: 'FILE|default|off',
    complete: 'file',
  },
  'allow-new-privileges': {
    group: RIGHTS,
    type: 'boolean',
    describe: 'Let set-user-ID programs and file capabilities give rights',
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
    describe: 'Memory of all processes together, without swap, by a cgroup',
    placeholder: 'SIZE',
  },
  'pids-limit': {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Number of processes and threads, by a cgroup',
    placeholder: 'N',
  },
  cpus: {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Processor time, as a number of processors such as 1.5, by a cgroup',
    placeholder: 'N',
  },
  ulimit: {
    group: LIMITS,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Limit of each process (setrlimit(2)), such as nofile=1024:2048',
    placeholder: 'NAME=SOFT[:HARD]',
  },
} as const;

export type RunArguments = Arguments<typeof ROOT_ARGUMENT, typeof runOptions>;
