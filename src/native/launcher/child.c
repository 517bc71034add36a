#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Search path for the command if --env sets no PATH, as in manifest/standard-path.ts. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *variable(char **env, const char *name)
{
	size_t length = strlen(name);
	for (; *env != NULL; env++)
		if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
			return *env + length + 1;
	return NULL;
}

static bool is_named(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool is_executable(const char *path)
{
	struct stat file;
	return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
}

/* Whether a command, looked up in PATH as by execvp(3), leads to a file that passes a test. */
static bool leads_to(const char *name, bool (*test)(const char *path))
{
	const char *directory = getenv("PATH");
	char path[4096];

	if (strchr(name, '/') != NULL)
		return test(name);
	while (directory != NULL && *directory != '\0') {
		int length = (int)strcspn(directory, ":");
		int count = snprintf(path, sizeof(path), "%.*s/%s", length, directory, name);
		if (count > 0 && (size_t)count < sizeof(path) && test(path))
			return true;
		directory += length;
		directory += *directory == ':';
	}
	return false;
}

/* execvpe searches the PATH of this process and passes on the other environment. */
static void set_search_path(char **env)
{
	static char *only[2];
	const char *path = variable(env, "PATH");
	only[0] = path != NULL ? (char *)path - strlen("PATH=") : "PATH=" DEFAULT_PATH;
	environ = only;
}

/* From here on, the filter may allow nothing but execve(2). */
static _Noreturn void execute(const char *file, char **command, char **env)
{
	char *sh[] = { "sh", NULL }, *bash[] = { "bash", NULL };

	give_up_last_rights();
	if (command == NULL || file == NULL) {
		execvpe(*bash, bash, env);
		file = *sh;
		command = sh;
	}
	execvpe(file, command, env);
	int reason = errno;
	note_failure();
	/* execve(2) returns ENOENT both for a missing file and for a missing interpreter. */
	bool no_interpreter = reason == ENOENT && *file != '\0' && leads_to(file, is_named);
	fprintf(stderr, "invoke_ns: execute %s: %s\n", printable(file),
		no_interpreter ? "the interpreter that it names is not there" : strerror(reason));
	_exit(reason == ENOENT || reason == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

/* With a user namespace, the parent writes the ID maps first; and its reports must precede the command's output. */
bool awaits_parent(const struct options *options)
{
	return options->new_user || options->verbose || reports_jail(options);
}

/*
 * Without the parent, nothing would wait for the jail or forward signals to it. If the parent ended before this call,
 * the channel reports it.
 */
static void tie_to_parent(int channel, bool await, bool detached)
{
	char byte;
	if (!detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		die_errno("tie the child to its parent", NULL);
	ssize_t got = recv(channel, &byte, 1, await ? 0 : MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		_exit(FAILED);
}

static void change_directory(const char *path)
{
	char there[PATH_MAX];
	log_step("changing to the directory %s", path);
	if (chdir(path) < 0)
		die_errno("change to the directory", path);
	/* The kernel reports a directory outside the root (CVE-2024-21626). */
	if (getcwd(there, sizeof(there)) == NULL)
		die_errno("change to the directory", path);
	if (*there != '/')
		die("the directory is outside the root", path);
}

static void make_jail(struct options *options, int channel)
{
	join_cgroup();
	if (options->new_cgroup) {
		log_step("making a cgroup namespace");
		bool is_made = unshare(CLONE_NEWCGROUP) == 0;
		if (!is_made && !options->try_cgroup)
			die_errno("make a cgroup namespace", NULL);
		if (!is_made)
			warn("make a cgroup namespace", "continuing without one");
	}
	if (options->new_time)
		enter_time_namespace(options);
	if (options->hostname != NULL)
		set_hostname(options->hostname);
	if (options->new_net)
		bring_loopback_up();
	if (options->oom_score != NULL)
		set_oom_score(options->oom_score);
	set_sysctls(options);
	if (options->disable_userns)
		disable_user_namespaces(options);
	if (options->show_queue)
		send_over_queue();
	if (options->new_mount)
		make_root(options, channel);
	else if (options->root != NULL)
		change_root(options->root);
}

static void set_variable(struct options *options, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 2;
	char *text = allocate(size);
	snprintf(text, size, "%s=%s", name, value);
	options->env = grown(options->env, options->env_count, sizeof(char *));
	options->env[options->env_count++] = text;
}

/* LISTEN_PID must be this process's number (sd_listen_fds(3)). */
static void set_listeners(struct options *options)
{
	char pid[24];
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	set_variable(options, "LISTEN_FDS", options->listen_fds);
	set_variable(options, "LISTEN_PID", pid);
}

static _Noreturn void look_up(const char *file)
{
	if (file == NULL || leads_to(file, is_executable))
		_exit(EXIT_SUCCESS);
	_exit(*file != '\0' && leads_to(file, is_named) ? NOT_EXECUTABLE : NOT_FOUND);
}

static _Noreturn void become_command(struct options *options)
{
	struct identity identity = { 0 };

	if (options->user != NULL) {
		look_up_user(options->user, &identity);
		if (variable(options->env, "HOME") == NULL)
			set_variable(options, "HOME", *identity.home == '/' ? identity.home : "/");
	}
	if (options->pty)
		take_terminal(options->terminal);
	else if (options->new_session && setsid() < 0)
		die_errno("start a session", NULL);
	if (options->new_keyring)
		leave_keyring();
	set_rlimits(&options->rlimits);
	if (options->umask != NULL)
		umask((mode_t)parse_number(options->umask, 8));
	if (options->observed)
		meet_observer();
	set_exec_label(options);
	make_landlock_rules();
	give_up_rights(options, &identity);
	if (options->assert_no_userns)
		assert_user_namespaces_disabled(options);
	be_observable();

	/* Checked as the user, who may not have access. */
	if (options->cwd != NULL)
		change_directory(options->cwd);
	if (options->listen_fds != NULL)
		set_listeners(options);
	const char *file = options->command != NULL ? options->command[0] : NULL;
	if (file != NULL && options->argv0 != NULL)
		options->command[0] = (char *)options->argv0;
	limit_by_landlock();
	close_others(3, &options->passed);
	release_signals();
	set_search_path(options->env);
	if (options->look_up)
		look_up(file);
	log_step("executing %s", file != NULL ? file : "a shell");
	execute(file, options->command, options->env);
}

/* As fork(2), but copies nothing; the init continues once the command is executed. */
static _Noreturn void split(struct options *options, int channel)
{
	rename_to_init(options->argv);
	pid_t command = vfork();
	if (command < 0)
		die_errno("start the process of the command", NULL);
	if (command > 0)
		be_init(command, options, channel);
	log_as("Command", options->verbose);
	enter_group(options->group);
	become_command(options);
}

void become_child(struct options *options, int channel)
{
	log_as(" Child", options->verbose);
	tie_to_parent(channel, awaits_parent(options), options->detach);
	log_step("PID is %ld", (long)getpid());
	if (options->root != NULL || options->join != NULL)
		refuse_directories();
	if (options->new_user) {
		become_mapped_root(options);
		/* The kernel clears the setting when the user changes. */
		tie_to_parent(channel, false, options->detach);
	}
	make_jail(options, channel);
	if (options->pty)
		options->terminal = open_pty(channel, options->join == NULL);

	/* The parent inspects it before it continues, and may end. */
	char seen;
	if (reports_jail(options) && (send(channel, "", 1, MSG_NOSIGNAL) < 0 || recv(channel, &seen, 1, 0) != 1))
		_exit(FAILED);
	/*
	 * Until the command is executed, no process in the jail may inspect this one. The program that sets up its network
	 * must, which is safe while it is alone.
	 */
	bool is_alone = options->join == NULL && options->joined.count == 0;
	if (!is_alone && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die_errno("protect this process from others", NULL);
	/*
	 * The caller of a created container waits for end of file on the output, which must not stay open until the
	 * container starts.
	 */
	if (options->detach && options->pty)
		use_terminal(options->terminal);
	wait_until_unblocked(options);
	take_locks(options);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die_errno("protect this process from others", NULL);
	if (options->init) {
		log_step("this process stays as init");
		split(options, channel);
	}
	become_command(options);
}
