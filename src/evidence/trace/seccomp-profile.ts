import { JailbuildError } from '../../errors.js';
import calls from './system-calls.json' with { type: 'json' };

/**
 * AUDIT_ARCH_... of linux/audit.h, in hexadecimal, with the names in OCI profiles and in
 * system-calls.json.
 */
const MACHINES: Readonly<
  Record<string, { readonly oci: string; readonly table: keyof typeof calls }>
> = {
  c000003e: { oci: 'SCMP_ARCH_X86_64', table: 'x86-64' },
  '40000003': { oci: 'SCMP_ARCH_X86', table: 'i386' },
  c00000b7: { oci: 'SCMP_ARCH_AARCH64', table: 'aarch64' },
};

/**
 * Calls that crun and runc make between installing the filter and executing the program, such as
 * waiting for the order to start it, and calls that every program makes to start and end.
 */
const ALWAYS = [
  ...['access', 'arch_prctl', 'brk', 'capget', 'capset', 'chdir', 'clock_nanosleep'],
  ...['clone', 'clone3', 'close', 'close_range', 'dup3', 'epoll_create1', 'epoll_ctl'],
  ...['epoll_pwait', 'eventfd2', 'execve', 'exit', 'exit_group', 'faccessat', 'faccessat2'],
  ...['fchdir', 'fcntl', 'fstat', 'fstatfs', 'futex', 'getcwd', 'getdents64', 'getpid'],
  ...['getppid', 'getrandom', 'gettid', 'getuid', 'madvise', 'mmap', 'mprotect', 'munmap'],
  ...['nanosleep', 'newfstatat', 'openat', 'openat2', 'poll', 'ppoll', 'prctl', 'pread64'],
  ...['prlimit64', 'pselect6', 'read', 'readlinkat', 'restart_syscall', 'rseq'],
  ...['rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn', 'sched_yield', 'select'],
  ...['set_robust_list', 'set_tid_address', 'setgid', 'setgroups', 'setresgid'],
  ...['setresuid', 'setuid', 'sigaltstack', 'statx', 'tgkill', 'umask', 'write'],
];

/** Collects the system calls of a run, by machine (AUDIT_ARCH_..., hexadecimal) and number. */
export class CallCollector {
  readonly #names = new Set<string>(ALWAYS);
  readonly #machines = new Set<string>();

  add(machine: string, number: number): void {
    const known = MACHINES[machine];
    if (known === undefined) {
      throw new JailbuildError(
        'OBSERVATION_FAILED',
        `system calls of machine ${machine} have no names here: no profile can be written`,
      );
    }
    this.#machines.add(known.oci);
    const name = calls[known.table][number];
    if (name !== undefined && name !== '') this.#names.add(name);
  }

  /**
   * Returns an OCI seccomp profile (runtime-spec, config-linux.md) that allows only the calls made.
   */
  profile(): string {
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      architectures: [...this.#machines].sort(),
      syscalls: [{ names: [...this.#names].sort(), action: 'SCMP_ACT_ALLOW' }],
    };
    return `${JSON.stringify(profile, null, 2)}\n`;
  }
}
