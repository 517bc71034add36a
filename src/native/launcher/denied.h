/*
 * System calls denied by the default filter, with their numbers on x86-64, i386 and arm64; -1 if there is none. In
 * addition, seccomp.c checks arguments of clone, unshare, ioctl and socket.
 */

/* The kernel itself: modules, kexec, BPF programs. */
DENY(init_module, 175, 128, 105)
DENY(finit_module, 313, 350, 273)
DENY(delete_module, 176, 129, 106)
DENY(create_module, 174, 127, -1)
DENY(query_module, 178, 167, -1)
DENY(get_kernel_syms, 177, 130, -1)
DENY(kexec_load, 246, 283, 104)
DENY(kexec_file_load, 320, -1, 294)
DENY(reboot, 169, 88, 142)
DENY(bpf, 321, 357, 280)
DENY(perf_event_open, 298, 336, 241)

/* Mounts. */
DENY(mount, 165, 21, 40)
DENY(umount, -1, 22, -1)
DENY(umount2, 166, 52, 39)
DENY(pivot_root, 155, 217, 41)
DENY(fsopen, 430, 430, 430)
DENY(fsconfig, 431, 431, 431)
DENY(fsmount, 432, 432, 432)
DENY(fspick, 433, 433, 433)
DENY(move_mount, 429, 429, 429)
DENY(open_tree, 428, 428, 428)
DENY(mount_setattr, 442, 442, 442)

/* Namespaces. */
DENY(setns, 308, 346, 268)

/* Keys, which no namespace isolates. */
DENY(add_key, 248, 286, 217)
DENY(request_key, 249, 287, 218)
DENY(keyctl, 250, 288, 219)

/* The kernel log of the whole host, which some kernels show to everyone. */
DENY(syslog, 103, 103, 116)

/* Clocks, swap, quotas and accounting of the whole machine. */
DENY(settimeofday, 164, 79, 170)
DENY(stime, -1, 25, -1)
DENY(clock_settime, 227, 264, 112)
DENY(clock_settime64, -1, 404, -1)
DENY(swapon, 167, 87, 224)
DENY(swapoff, 168, 115, 225)
DENY(acct, 163, 51, 89)
DENY(quotactl, 179, 131, 60)
DENY(quotactl_fd, 443, 443, 443)
DENY(vhangup, 153, 111, 58)
DENY(nfsservctl, 180, 169, 42)
DENY(_sysctl, 156, 149, -1)
DENY(sysfs, 139, 135, -1)

/* Hardware. */
DENY(ioperm, 173, 101, -1)
DENY(iopl, 172, 110, -1)
DENY(vm86, -1, 166, -1)
DENY(vm86old, -1, 113, -1)

/* Access to files without a path. */
DENY(open_by_handle_at, 304, 342, 265)
DENY(fanotify_init, 300, 338, 262)
DENY(lookup_dcookie, 212, 253, 18)

/* Large parts of the kernel behind one interface, or mainly of use to attacks. */
DENY(io_uring_setup, 425, 425, 425)
DENY(io_uring_enter, 426, 426, 426)
DENY(io_uring_register, 427, 427, 427)
DENY(userfaultfd, 323, 374, 282)
DENY(kcmp, 312, 349, 272)
DENY(uselib, 134, 86, -1)
