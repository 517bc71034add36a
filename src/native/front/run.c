#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
/* CLOSE_RANGE_CLOEXEC, since Linux 5.11; run requires 5.12. */
#define CLOSE_ON_EXEC 4U

/* Returns whether a word needs no escaping on a terminal. */
static bool is_printable(const char *word)
{
	for (; *word != '\0'; word++) {
		if (*word < ' ' || *word > '~')
			return false;
	}
	return true;
}

/* Prints the same hint as cli/commands/run.ts for a command that cannot start or does not find its libraries. */
static void tell_of_prove(const char *root, char **command)
{
	for (char **word = command; *word != NULL; word++) {
		if (!is_printable(*word))
			return;
	}
	if (!is_printable(root))
		return;
	fprintf(stderr, "jailbuild: `jailbuild prove %s --", root);
	for (char **word = command; *word != NULL; word++)
		fprintf(stderr, " %s", *word);
	fputs("` reports what the jail lacks\n", stderr);
}

/* Starts the launcher, forwards signals to it, and returns the exit status. */
static int launch(const char *launcher, char **words, char **environment)
{
	int signals = catch_signals(), status;
	volatile int error = 0;
	pid_t child = vfork();

	if (child == 0) {
		restore_signals();
		/* The current directory may be accessible to its user alone. */
		if (chdir("/") == 0)
			execve(launcher, words, environment);
		error = errno;
		_exit(125);
	}
	if (child < 0)
		error = errno;
	if (error != 0)
		fail(125, "%s: %s", launcher, strerror(error));
	for (;;) {
		struct pollfd fd = { .fd = signals, .events = POLLIN };
		pid_t waited = waitpid(child, &status, WNOHANG);
		if (waited == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (waited < 0)
			fail(125, "waitpid: %s", strerror(errno));
		if (poll(&fd, 1, -1) > 0)
			take_signals(signals, child);
	}
}

void run_without_node(const struct start *start, int argc, char **argv)
{
	static char launcher[PATH_MAX + 64];
	struct run run = { .root = NULL };
	struct defaults defaults = { .parts = NULL };
	struct list environment;

	/* Node handles sockets from a supervisor. */
	if (argc < 3 || strcmp(argv[1], "run") != 0 || getuid() != 0 || geteuid() != 0 ||
	    getenv("LISTEN_FDS") != NULL || !parse_run(&run, (size_t)argc - 2, argv + 2))
		return;
	snprintf(launcher, sizeof(launcher), "%s/native/linux-" ARCHITECTURE "/invoke_ns", start->dist);
	if (!read_defaults(start, run.root, &defaults) || access(launcher, X_OK) < 0)
		return;
	char **words = launcher_words(&run, &defaults, &environment);
	if (words == NULL)
		return;
	words[0] = launcher;
	/* Descriptors besides the standard streams are not for the jail. */
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC) < 0)
		return;
	int status = launch(launcher, words, environment.items);
	if (status == 126 || status == 127)
		tell_of_prove(run.root, run.command == NULL ? defaults.command.items : run.command);
	exit(status);
}
