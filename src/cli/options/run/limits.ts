const LIMITS = 'Limits';

/** Options for the limits of the command, of `run` and `prove`. */
export const limitOptions = {
  memory: {
    alias: 'm',
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Limit the memory of all processes together, without swap, by a cgroup',
    placeholder: 'SIZE',
  },
  'pids-limit': {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Limit the number of processes and threads by a cgroup',
    placeholder: 'N',
  },
  cpus: {
    group: LIMITS,
    type: 'string',
    requiresArg: true,
    describe: 'Limit CPU time to this many CPUs, such as 1.5, by a cgroup',
    placeholder: 'N',
  },
  ulimit: {
    group: LIMITS,
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Limit a resource of each process (setrlimit(2)), such as nofile=1024:2048',
    placeholder: 'NAME=SOFT[:HARD]',
  },
} as const;
