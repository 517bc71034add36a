const NAMESPACES = 'Namespaces';

/** Options for the namespaces of the jail, of `run` and `prove`. */
export const namespaceOptions = {
  hostname: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: "Host name in the jail [default: the directory's name]",
    placeholder: 'NAME',
  },
  network: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe:
      "The host's network, a loopback interface only, outgoing connections through pasta or slirp4netns, or an existing namespace [default: host]",
    placeholder: 'host|none|outgoing|pasta|slirp4netns|ns:PATH',
    complete: ['host', 'none', 'outgoing', 'pasta', 'slirp4netns'],
  },
  ipc: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe:
      "Use private message queues, semaphores and shared memory, or the host's [default: private]",
  },
  cgroupns: {
    group: NAMESPACES,
    choices: ['private', 'host'],
    describe: "Show only the jail's cgroups, or those of the host [default: private]",
  },
  userns: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe:
      'User namespace: none, one in which the caller is root, one in which the caller keeps its ID, or an existing one [default: host for root, otherwise root]',
    placeholder: 'host|root|keep-id|PATH',
    complete: ['host', 'root', 'keep-id'],
  },
  'map-auto': {
    group: NAMESPACES,
    type: 'boolean',
    describe: "Also map the caller's subordinate IDs in /etc/subuid and /etc/subgid",
  },
  uidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Map a range of user IDs',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  gidmap: {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Map a range of group IDs [default: as --uidmap]',
    placeholder: 'INSIDE:OUTSIDE:COUNT',
  },
  'disable-userns': {
    group: NAMESPACES,
    type: 'boolean',
    describe: 'Prevent further user namespaces in the jail',
  },
  'assert-userns-disabled': {
    group: NAMESPACES,
    type: 'boolean',
    describe: 'Fail if the command could create a user namespace',
  },
  'unshare-try': {
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'If a user or cgroup namespace is refused, warn and continue without it',
    placeholder: 'user|cgroup',
  },
  pidns: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: "Create the jail's PID namespace inside this one",
    placeholder: 'PATH',
    complete: 'file',
  },
  monotonic: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Shift CLOCK_MONOTONIC by this many seconds',
    placeholder: 'SECONDS',
  },
  boottime: {
    group: NAMESPACES,
    type: 'string',
    requiresArg: true,
    describe: 'Shift CLOCK_BOOTTIME, and so the uptime, by this many seconds',
    placeholder: 'SECONDS',
  },
} as const;

/** Options of `run` for its network. */
export const publishOptions = {
  publish: {
    alias: 'p',
    group: NAMESPACES,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Forward a port of the host to the jail; requires an outgoing network',
    placeholder: '[ADDRESS:]HOST:JAIL[/udp]',
  },
} as const;
