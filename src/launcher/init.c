/*
 * The first process of a PID namespace: it reaps what others leave behind, passes signals on to the
 * command, and ends with it, by which the kernel ends all the rest (pid_namespaces(7)).
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reaps all that have ended. Returns true if the command is one of them. */
static bool reap(pid_t command, int *status)
{
	bool has_ended = false;
	int ended;
	for (;;) {
		pid_t process = waitpid(-1, &ended, WNOHANG);
		if (process < 0 && errno == EINTR)
			continue;
		if (process <= 0)
			return has_ended;
		if (process == command) {
			*status = ended;
			has_ended = true;
		}
	}
}

/*
 * The command line that we were called with names paths of the outside and variables that are the
 * command's alone; everyone in the jail may read it.
 */
static void rename_process(char **argv)
{
	static const char name[] = "init";
	char **last = argv;
	while (last[1] != NULL)
		last++;
	/* The kernel has put the arguments one after the other. */
	size_t size = (size_t)(*last + strlen(*last) - *argv);
	memset(*argv, 0, size);
	snprintf(*argv, size + 1, "%s", name);
	prctl(PR_SET_NAME, name);
}

void be_init(pid_t command, char **argv)
{
	sigset_t awaited;
	siginfo_t info;
	int status;

	/* Not to hold open what the command closes. */
	syscall(SYS_close_range, 0U, ~0U, 0U);
	keep_only_kill();
	rename_process(argv);
	/* Without a handler the first process gets no signal; these are held since before it was there. */
	sigfillset(&awaited);
	while (!reap(command, &status)) {
		if (sigwaitinfo(&awaited, &info) < 0 || info.si_signo == SIGCHLD)
			continue;
		/* The terminal has sent it to the whole foreground process group, the command's as well. */
		if (info.si_code == SI_KERNEL && getpgid(command) == getpgrp())
			continue;
		kill(command, info.si_signo);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
