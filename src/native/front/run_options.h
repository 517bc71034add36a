/*
 * The options of `jailbuild run` with which the front starts the launcher itself, one a row: OPTION(name, spellings, kind,
 * parser, part). A spelling ends with a blank. `kind` is FLAG, VALUE or LIST (may be repeated); `part` is the part of
 * the launcher's arguments that it changes, if it sets one. Mounts at one depth are made in the order of these rows.
 * Names, spellings and kinds are those of cli/options/run/; test/front/run-options.test.ts compares them.
 */

OPTION("symlink", "--symlink ", LIST, take_symlink, "mounts")
OPTION("dir", "--dir ", LIST, take_dir, "mounts")
OPTION("bind", "--bind --volume ", LIST, take_bind, "mounts")
OPTION("ro-bind", "--ro-bind ", LIST, take_bind, "mounts")
OPTION("bind-try", "--bind-try ", LIST, take_bind, "mounts")
OPTION("ro-bind-try", "--ro-bind-try ", LIST, take_bind, "mounts")
OPTION("dev-bind", "--dev-bind ", LIST, take_bind, "mounts")
OPTION("dev-bind-try", "--dev-bind-try ", LIST, take_bind, "mounts")
OPTION("tmpfs", "--tmpfs ", LIST, take_tmpfs, "mounts")
OPTION("no-tmp", "--no-tmp ", FLAG, take_no_tmp, "no-tmp")
OPTION("read-only", "--read-only ", FLAG, take_switch_on, "read-only")
OPTION("overlay", "--overlay ", VALUE, take_overlay, "overlay")
OPTION("no-dev", "--no-dev ", FLAG, take_switch_off, "no-dev")
OPTION("proc", "--proc ", VALUE, take_proc, "proc")
OPTION("env", "--env -e ", LIST, take_variable, "env")
OPTION("workdir", "--workdir -w --cwd --chdir ", VALUE, take_workdir, "workdir")
OPTION("argv0", "--argv0 ", VALUE, take_argv0, "argv0")
OPTION("tty", "--tty -t ", FLAG, take_tty, "tty")
OPTION("new-session", "--new-session ", FLAG, take_switch_on, "new-session")
OPTION("no-init", "--no-init ", FLAG, take_switch_off, "no-init")
OPTION("hostname", "--hostname ", VALUE, take_hostname, "hostname")
OPTION("network", "--network ", VALUE, take_network, "network")
OPTION("ipc", "--ipc ", VALUE, take_shared, "ipc")
OPTION("cgroupns", "--cgroupns ", VALUE, take_shared, "cgroupns")
OPTION("user", "--user -u ", VALUE, take_user, "user")
OPTION("cap-drop", "--cap-drop ", LIST, take_dropped, "cap-drop")
OPTION("allow-new-privileges", "--allow-new-privileges ", FLAG, take_switch_off, "allow-new-privileges")
OPTION("umask", "--umask ", VALUE, take_umask, "umask")
OPTION("memory", "--memory -m ", VALUE, take_memory, "memory")
OPTION("pids-limit", "--pids-limit ", VALUE, take_count, "pids-limit")
OPTION("cpus", "--cpus ", VALUE, take_cpus, "cpus")
OPTION("die-with-parent", "--die-with-parent ", FLAG, take_die_with_parent, "die-with-parent")
