/*
 * All options, one a row: OPTION(letter, name, argument, parser, place, needs, help). The letter is 0 or the name NULL
 * if there is none. `place` is the member of struct options that the parser sets; `needs` names the options that this
 * one depends on. Help is wrapped when printed. HEADING(text) begins a group.
 */

OPTION('p', NULL, NULL, parse_flag, new_pid, "", "in a new PID namespace")
OPTION('m', NULL, NULL, parse_flag, new_mount, "", "in a new mount namespace; with -p, /proc is mounted")
OPTION('u', NULL, "HOSTNAME", parse_hostname, hostname, "", "in a new UTS namespace, with this host name")
OPTION('n', NULL, NULL, parse_flag, new_net, "", "in a new network namespace, which has a loopback interface")
OPTION('i', NULL, "yes|no", parse_ipc, new_ipc, "",
       "in a new IPC namespace or the current one; a message queue shows which")
OPTION('c', NULL, "DIR", parse_text, root, "", "with DIR as the root directory")
OPTION('v', NULL, NULL, parse_flag, verbose, "", "report each step")
OPTION(0, "args", "FD|FILE", parse_text, args, "", "read further arguments, each ended by a NUL byte, from there")
OPTION(0, "environ", "FD|FILE", parse_text, own_environment, "",
       "replace the launcher's own environment by the variables there, each ended by a NUL byte")
OPTION('h', "help", NULL, print_help, verbose, "", "show this help")
OPTION('V', "version", NULL, print_version, verbose, "", "show the version")

HEADING("Namespaces")
OPTION(0, "ipc", NULL, parse_flag, new_ipc, "", "a new IPC namespace")
OPTION(0, "cgroup", NULL, parse_flag, new_cgroup, "", "a new cgroup namespace")
OPTION(0, "time", NULL, parse_flag, new_time, "", "a new time namespace")
OPTION(0, "userns", NULL, parse_flag, new_user, "",
       "a new user namespace; the caller is root in it unless mapped otherwise")
OPTION(0, "namespace", "TYPE=PATH", parse_item, joined, "",
       "join this namespace; TYPE is user, pid, net, ipc, uts, cgroup or time")
OPTION(0, "join", "PID[:START]", parse_text, join, "",
       "join all namespaces and cgroups of a process; START verifies its start time (proc_pid_stat(5), field 22)")
OPTION(0, "try", "user|cgroup|user,cgroup", parse_try, try_user, "",
       "if a new namespace of these kinds is refused, warn and continue without it")
OPTION(0, "disable-userns", NULL, parse_flag, disable_userns, "--userns", "prevent further user namespaces")
OPTION(0, "assert-userns-disabled", NULL, parse_flag, assert_no_userns, "",
       "fail if the command could make a user namespace")
OPTION(0, "sysctl", "NAME=VALUE", parse_item, sysctls, "",
       "set a sysctl of the new network, IPC or UTS namespace")
OPTION(0, "uid-map", "INSIDE:OUTSIDE:COUNT", parse_item, uid_maps, "--userns --gid-map",
       "map users of the user namespace")
OPTION(0, "gid-map", "INSIDE:OUTSIDE:COUNT", parse_item, gid_maps, "--userns --uid-map",
       "map groups of the user namespace")
OPTION(0, "monotonic", "SECONDS", parse_offset, monotonic, "--time", "shift CLOCK_MONOTONIC by this much")
OPTION(0, "boottime", "SECONDS", parse_offset, boottime, "--time", "shift CLOCK_BOOTTIME by this much")

HEADING("Files")
OPTION(0, "read-only", NULL, parse_flag, read_only, "-m -c", "mount the root read-only")
OPTION(0, "nodev", NULL, parse_flag, no_devices, "-m -c", "disable device nodes in the root")
OPTION(0, "dev", NULL, parse_flag, make_dev, "-m",
       "mount a /dev with null, zero, full, random, urandom, tty, shm and pts")
OPTION(0, "no-proc", NULL, parse_flag, no_proc, "", "do not mount /proc")
OPTION(0, "mask-proc", NULL, parse_flag, mask_proc, "-m -p",
       "hide parts of /proc that concern the host, or make them read-only")
OPTION(0, "overlay", "tmpfs|DIR", parse_text, overlay, "-m -c",
       "keep writes to the root in memory or in DIR; the root itself stays unchanged")
OPTION(0, "overlay-changes", "FD", parse_fd, changes_fd, "--overlay",
       "at the end, write the overlay's changes to FD")
OPTION(0, "list-overlay", NULL, parse_flag, lists_changes, "--overlay",
       "print the changes in the overlay's DIR, and run nothing")
OPTION(0, "overlay-mount", "SRC:DEST[:UPPER:WORK[:SRC...]]", parse_overlay_mount, mounts, "-m",
       "mount a directory of the host that stays unchanged: writes go to UPPER, or to memory. Each further SRC covers those before it")
OPTION(0, "ro-overlay-mount", "SRC:DEST[:UPPER:WORK[:SRC...]]", parse_ro_overlay_mount, mounts, "-m",
       "as --overlay-mount, read-only")
OPTION(0, "bind", "SRC[:DEST[:OPTION,...]]", parse_bind, mounts, "-m",
       "mount a file or directory of the host; options are ro, rw, dev, suid, noexec, noatime, flat, and try: ignore a missing source. In paths, write a colon as \\:")
OPTION(0, "dev-bind", "SRC[:DEST[:OPTION,...]]", parse_dev_bind, mounts, "-m",
       "as --bind, with working devices")
OPTION(0, "bind-fd", "FD:DEST[:OPTION,...]", parse_bind_fd, mounts, "-m",
       "mount the file or directory that a descriptor refers to")
OPTION(0, "tmpfs", "DEST[:OPTION,...]", parse_tmpfs, mounts, "-m",
       "mount an empty file system in memory, such as /tmp:size=64m,mode=1777")
OPTION(0, "mqueue", "DEST", parse_mqueue, mounts, "-m", "mount the message queues of the IPC namespace")
OPTION(0, "filesystem", "TYPE:DEST[:OPTION,...]", parse_filesystem, mounts, "-m",
       "mount a file system of any type that needs no device")
OPTION(0, "bind-data", "FD:DEST[:ro][,mode=OCTAL]", parse_bind_data, mounts, "-m",
       "mount a file with the content read from a descriptor")
OPTION(0, "file", "FD:DEST[:OCTAL]", parse_file, mounts, "-m", "write the content read from a descriptor to a file")
OPTION(0, "dir", "DEST[:OCTAL]", parse_dir, mounts, "-m", "create a directory unless it exists")
OPTION(0, "symlink", "TEXT:DEST", parse_symlink, mounts, "-m", "create a symbolic link unless it exists")
OPTION(0, "chmod", "OCTAL:DEST", parse_chmod, mounts, "-m", "set the mode of an existing file")
OPTION(0, "mask", "DEST", parse_mask, mounts, "-m", "hide a file or directory if it exists")
OPTION(0, "protect", "DEST", parse_protect, mounts, "-m", "make a file or directory read-only if it exists")
OPTION(0, "device", "DEST:b|c:MAJOR:MINOR[:OCTAL[:UID:GID]]", parse_device, mounts, "-m",
       "create a device node")
OPTION(0, "mount-label", "LABEL", parse_text, mount_label, "-m",
       "give this SELinux label to the files of mounted file systems (--filesystem, --tmpfs)")
OPTION(0, "cwd", "DIR", parse_text, cwd, "", "start in this directory of the new root")

HEADING("Limits")
OPTION(0, "memory", "BYTES", parse_number_text, memory, "", "limit the memory of all processes, by a cgroup")
OPTION(0, "pids", "COUNT", parse_number_text, pids, "", "limit the number of processes, by a cgroup")
OPTION(0, "cpu-quota", "MICROSECONDS", parse_number_text, cpu_quota, "",
       "limit CPU time in each period of 100000 microseconds, by a cgroup")
OPTION(0, "cgroup-dir", "DIR", parse_item, cgroup_directories, "", "run in this existing cgroup")
OPTION(0, "oom-score-adj", "NUMBER", parse_offset, oom_score, "", "set the OOM killer score adjustment (proc_pid_oom_score_adj(5))")
OPTION(0, "rlimit", "NAME=SOFT[:HARD]", parse_item, rlimits, "",
       "limit a resource of each process (setrlimit(2)), such as nofile=1024:2048")

HEADING("Rights")
OPTION(0, "user", "NAME|UID[:GID]", parse_text, user, "",
       "as this user of the jail's /etc/passwd, without supplementary groups")
OPTION(0, "groups", "GID,...", parse_text, groups, "--user", "with these supplementary groups")
OPTION(0, "exec-label", "LABEL", parse_text, exec_label, "", "with this SELinux label or AppArmor profile")
OPTION(0, "caps", "NAME,...", parse_kept_caps, caps, "", "keep only these capabilities")
OPTION(0, "ambient", "NAME,...", parse_ambient, ambient, "", "also keep these for a user other than root")
OPTION(0, "no-new-privs", NULL, parse_flag, no_new_privs, "", "set no_new_privs: programs cannot gain privileges")
OPTION(0, "seccomp", "default|off|FILE", parse_item, seccomp, "",
       "filter system calls, repeatable; FILE is a compiled filter")
OPTION(0, "landlock", "FILE", parse_text, landlock, "",
       "allow only the paths listed in FILE as [r][l][x][w][m]:PATH, each ended by a NUL: to read, list, execute, write, and make or remove entries")
OPTION(0, "list-denied", NULL, print_denied, verbose, "",
       "print the system calls that the default filter denies")
OPTION(0, "keyring", NULL, parse_flag, new_keyring, "", "in a new session keyring")
OPTION(0, "umask", "OCTAL", parse_umask, umask, "", "with this file mode creation mask")
OPTION(0, "sealed", NULL, parse_flag, sealed, "", "run this launcher from a copy that cannot be written to")

HEADING("The process")
OPTION(0, "die-with-parent", NULL, parse_flag, die_with_parent, "",
       "kill the jail when the calling process ends")
OPTION(0, "die-with", "PID", parse_number_text, die_with, "",
       "kill the jail when this process, the parent of the calling process, ends")
OPTION(0, "init", NULL, parse_flag, init, "-p", "with an init that reaps processes and forwards signals")
OPTION(0, "new-session", NULL, parse_flag, new_session, "", "in a session without a terminal")
OPTION(0, "pty", NULL, parse_flag, pty, "--dev|--join|--console-socket", "on a new terminal")
OPTION(0, "console-socket", "PATH", parse_text, console_socket, "--pty", "send the terminal's master to this socket")
OPTION(0, "detach", NULL, parse_flag, detach, "", "exit once the jail is set up, and leave it running")
OPTION(0, "look-up", NULL, parse_flag, look_up, "",
       "only check that the command is there and may be executed: exit with 0, 126 or 127")
OPTION(0, "env", "NAME[=VALUE]", parse_variable, env, "",
       "set a variable, or pass on the launcher's; the environment is otherwise empty")
OPTION(0, "argv0", "NAME", parse_text, argv0, "", "set argv[0] of the command")
OPTION(0, "fd", "FD", parse_passed, passed, "", "pass this descriptor to the command")
OPTION(0, "preserve-fds", "COUNT", parse_passed_count, ignored, "", "pass this many descriptors to the command, starting at 3")
OPTION(0, "listen-fds", "COUNT", parse_passed_count, listen_fds, "",
       "the same, as sockets for socket activation (sd_listen_fds(3))")
OPTION(0, "info-fd", "FD", parse_fd, info_fd, "",
       "write a line of JSON there: the PID of the first process, and the namespaces")
OPTION(0, "json-status-fd", "FD", parse_fd, status_fd, "", "write the same there, and at the end the exit status of a command that was started")
OPTION(0, "block-fd", "FD|FIFO", parse_block, block_fd, "",
       "start the command when this becomes readable or is closed")
OPTION(0, "sync-fd", "FD", parse_held, held, "--init", "keep this descriptor open while the jail runs")
OPTION(0, "lock-file", "DEST", parse_item, lock_files, "--init",
       "hold a read lock on a file of the jail while the jail runs")
OPTION(0, "observed", NULL, parse_observed, observed, "", "run under jail_observer, whose socket is descriptor 3")
