/*
 * The options of `jailbuild exec` with which the front starts the launcher itself, as those of run_options.h.
 * test/front/run-options.test.ts compares them with cli/commands/exec.ts.
 */

OPTION("env", "--env -e ", LIST, take_variable, "env")
OPTION("workdir", "--workdir -w --cwd --chdir ", VALUE, take_workdir, "workdir")
OPTION("user", "--user -u ", VALUE, take_user, "user")
OPTION("tty", "--tty -t ", FLAG, take_tty, "tty")
