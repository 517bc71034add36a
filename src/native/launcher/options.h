/*
 * Every option, one a row: OPTION(letter, name, argument, parser, place, needs, help). The letter is 0
 * and the name NULL where there is none. The place is the member of struct options that the parser
 * fills; `needs` names the options without which this one would do less than it says. The help text is
 * folded when it is printed. HEADING(text) begins a group.
 */

OPTION('p', NULL, NULL, parse_flag, new_pid, "", "in a new PID namespace")
OPTION('m', NULL, NULL, parse_flag, new_mount, "", "in a new mount namespace; with -p, /proc is mounted")
OPTION('u', NULL, "HOSTNAME", parse_hostname, hostname, "", "in a new UTS namespace, with this host name")
OPTION('n', NULL, NULL, parse_flag, new_net, "", "in a new network namespace, with the loopback interface")
OPTION('i', NULL, "yes|no", parse_ipc, new_ipc, "",
       "in a new IPC namespace, or the present one; a message queue shows which")
OPTION('c', NULL, "DIR", parse_text, root, "", "with DIR as the root directory")
OPTION('v', NULL, NULL, parse_flag, verbose, "", "report each step")
OPTION('h', "help", NULL, print_help, verbose, "", "show this help")
OPTION('V', "version", NULL, print_version, verbose, "", "show the version")

HEADING("Namespaces")
OPTION(0, "ipc", NULL, parse_flag, new_ipc, "", "a new IPC namespace")
OPTION(0, "cgroup", NULL, parse_flag, new_cgroup, "", "a new cgroup namespace")
OPTION(0, "time", NULL, parse_flag, new_time, "", "a new time namespace")
OPTION(0, "userns", NULL, parse_flag, new_user, "",
       "a new user namespace; the present user is root in it unless mapped otherwise")
OPTION(0, "uid-map", "INSIDE:OUTSIDE:COUNT", parse_item, uid_maps, "--userns --gid-map",
       "users of the user namespace")
OPTION(0, "gid-map", "INSIDE:OUTSIDE:COUNT", parse_item, gid_maps, "--userns --uid-map",
       "groups of the user namespace")
OPTION(0, "monotonic", "SECONDS", parse_offset, monotonic, "--time", "added to CLOCK_MONOTONIC")
OPTION(0, "boottime", "SECONDS", parse_offset, boottime, "--time", "added to CLOCK_BOOTTIME")

HEADING("Files")
OPTION(0, "read-only", NULL, parse_flag, read_only, "-m -c", "a read-only root")
OPTION(0, "dev", NULL, parse_flag, make_dev, "-m",
       "a /dev with null, zero, full, random, urandom, tty, shm, pts")
OPTION(0, "no-proc", NULL, parse_flag, no_proc, "", "no /proc")
OPTION(0, "mask-proc", NULL, parse_flag, mask_proc, "-m -p",
       "hide what of /proc concerns the host, or make it read-only")
OPTION(0, "bind", "SRC[:DEST][:ro]", parse_bind, mounts, "-m", "a file or directory of the host")
OPTION(0, "dev-bind", "SRC[:DEST][:ro]", parse_dev_bind, mounts, "-m", "the same, and devices in it work")
OPTION(0, "tmpfs", "DEST[:OPTION,...]", parse_tmpfs, mounts, "-m",
       "an empty file system in memory, such as /tmp:size=64m,mode=1777")
OPTION(0, "cwd", "DIR", parse_text, cwd, "", "start in this directory of the new root")

HEADING("Limits")
OPTION(0, "memory", "BYTES", parse_number_text, memory, "", "memory of all processes, by a cgroup")
OPTION(0, "pids", "COUNT", parse_number_text, pids, "", "number of processes, by a cgroup")
OPTION(0, "cpu-quota", "MICROSECONDS", parse_number_text, cpu_quota, "",
       "processor time of each 100000 microseconds, by a cgroup")
OPTION(0, "rlimit", "NAME=SOFT[:HARD]", parse_item, rlimits, "",
       "a limit of each process (setrlimit(2)), such as nofile=1024:2048")

HEADING("Rights")
OPTION(0, "user", "NAME|UID[:GID]", parse_text, user, "",
       "as this user of the jail's passwd, and in no other group")
OPTION(0, "caps", "NAME,...", parse_kept_caps, caps, "", "no capabilities but these")
OPTION(0, "ambient", "NAME,...", parse_ambient, ambient, "", "these for a user other than root as well")
OPTION(0, "no-new-privs", NULL, parse_flag, no_new_privs, "", "no program gives rights to who executes it")
OPTION(0, "seccomp", "default|off|FILE", parse_text, seccomp, "",
       "a filter for system calls; FILE has it in binary form")
OPTION(0, "list-denied", NULL, print_denied, verbose, "",
       "print the system calls that the default filter denies")
OPTION(0, "keyring", NULL, parse_flag, new_keyring, "", "in a new session keyring")
OPTION(0, "umask", "OCTAL", parse_umask, umask, "", "with this file mode creation mask")
OPTION(0, "sealed", NULL, parse_flag, sealed, "", "run this launcher from a copy that cannot be written to")

HEADING("The process")
OPTION(0, "die-with-parent", NULL, parse_flag, die_with_parent, "",
       "kill the jail when the process that called us ends")
OPTION(0, "init", NULL, parse_flag, init, "-p", "with a first process that reaps and passes on signals")
OPTION(0, "new-session", NULL, parse_flag, new_session, "", "in a session without a terminal")
OPTION(0, "pty", NULL, parse_flag, pty, "--dev", "on a new terminal")
OPTION(0, "observed", NULL, parse_flag, observed, "", "under jail_observer, which is at descriptor 3")
OPTION(0, "env", "NAME=VALUE", parse_variable, env, "", "set a variable; the environment is otherwise empty")
