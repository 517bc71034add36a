/* Starts the launcher in place of Node. */
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

/* Waits for the launcher, and returns its exit status. */
static int wait_for(pid_t child, int signals, struct network *network)
{
	int status;

	for (;;) {
		struct pollfd polls[] = { { signals, POLLIN, 0 }, { network->said, POLLIN, 0 } };
		pid_t waited = waitpid(child, &status, WNOHANG);
		if (waited == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (waited < 0)
			fail(125, "waitpid: %s", strerror(errno));
		if (poll(polls, 2, -1) <= 0)
			continue;
		if (polls[0].revents != 0)
			take_signals(signals, child);
		if (polls[1].revents != 0)
			hear_network(network);
	}
}

int launch(const struct start *start, char **words, char **environment, bool has_network)
{
	static char launcher[PATH_MAX + 64];
	struct network network = { .said = -1 };

	snprintf(launcher, sizeof(launcher), "%s/native/linux-" ARCHITECTURE "/invoke_ns", start->dist);
	/* Descriptors besides the standard streams are not for the jail. */
	if (access(launcher, X_OK) < 0 || syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC) < 0)
		return -1;
	words[0] = launcher;
	if (has_network)
		open_network(&network);
	int signals = catch_signals();
	volatile int error = 0;
	pid_t child = vfork();

	if (child == 0) {
		restore_signals();
		if (has_network)
			give_network(&network);
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
	if (has_network) {
		close_network(&network);
		make_network(&network, launcher, signals, child);
	}
	int status = wait_for(child, signals, &network);
	end_network(&network);
	return status;
}
