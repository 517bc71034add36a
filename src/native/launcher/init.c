/*
 * The init, first process of a PID namespace: reaps orphans, forwards signals to the command, and exits with it, upon
 * which the kernel kills the rest (pid_namespaces(7)).
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the parent has continued the job, as far as known here. */
static int rounds;

/* A command stopped in the background, for example by SIGTTIN, does not hold the terminal: the shell does. */
static void tell_of_stop(int channel)
{
	/* The kernel returns 0 for a group outside this PID namespace. */
	int state = rounds << 1 | (tcgetpgrp(STDIN_FILENO) > 0);
	send(channel, &state, sizeof(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Reaps all processes that have ended. Returns true if the command is one of them; reports if it has stopped. */
static bool reap(pid_t command, int *status, int channel)
{
	bool has_ended = false;
	int ended;
	for (;;) {
		pid_t process = waitpid(-1, &ended, WNOHANG | WUNTRACED);
		if (process < 0 && errno == EINTR)
			continue;
		if (process <= 0)
			return has_ended;
		if (WIFSTOPPED(ended)) {
			if (process == command)
				tell_of_stop(channel);
			continue;
		}
		if (process == command) {
			*status = ended;
			has_ended = true;
		}
	}
}

/*
 * The command line contains paths outside the jail and variables meant for the command alone, and is readable to
 * everyone in the jail.
 */
void rename_to_init(char **argv)
{
	static const char name[] = "init";
	char **last = argv;
	while (last[1] != NULL)
		last++;
	/* The kernel stores the arguments contiguously. */
	size_t size = (size_t)(*last + strlen(*last) - *argv);
	memset(*argv, 0, size);
	snprintf(*argv, size + 1, "%s", name);
	prctl(PR_SET_NAME, name);
}

/*
 * Does not keep open what the command closes, except for a terminal to pass on to it and descriptors by which
 * supervisors hold the jail.
 */
static void close_all_but(int channel, bool terminal, const struct options *options)
{
	struct descriptors kept = options->held;
	kept.items = grown(kept.items, kept.count, sizeof(int));
	kept.items[kept.count++] = channel;
	for (int fd = terminal ? 1 : 0; fd <= 2; fd++)
		close(fd);
	close_others(3, &kept);
}

static void pass_on(pid_t command, const siginfo_t *info, enum job_group group)
{
	bool has_job = group == GROUP_TERMINAL || group == GROUP_FOREGROUND;
	/* The terminal sent it to the whole foreground process group, including the command's. */
	if (info->si_code == SI_KERNEL && getpgid(command) == getpgrp())
		return;
	if (info->si_signo == SIGCONT && has_job) {
		if (info->si_code == SI_QUEUE) {
			rounds = info->si_value.sival_int >> 1;
			if (info->si_value.sival_int & 1)
				give_terminal(command);
		}
		kill(-command, SIGCONT);
	}
	kill(command, info->si_signo);
}

void be_init(pid_t command, const struct options *options, int channel)
{
	sigset_t awaited;
	siginfo_t info;
	int status;

	close_all_but(channel, options->group >= GROUP_TERMINAL, options);
	keep_only_kill();
	/* PID 1 receives only signals it has a handler for; these were blocked before it started. */
	sigfillset(&awaited);
	while (!reap(command, &status, channel))
		if (sigwaitinfo(&awaited, &info) >= 0 && info.si_signo != SIGCHLD)
			pass_on(command, &info, options->group);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
