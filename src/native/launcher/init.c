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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the parent had the job go on, as far as is known here. */
static int rounds;

/* Stopped in the background, as by SIGTTIN, it has no terminal to give back: that is the shell's. */
static void tell_of_stop(int channel)
{
	/* Of a group outside of this PID namespace the kernel says 0. */
	int state = rounds << 1 | (tcgetpgrp(STDIN_FILENO) > 0);
	send(channel, &state, sizeof(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Reaps all that have ended. Returns true if the command is one of them, and tells if it has stopped. */
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
 * The command line that we were called with names paths of the outside and variables that are the
 * command's alone; everyone in the jail may read it.
 */
void rename_to_init(char **argv)
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

/*
 * Not to hold open what the command closes; but for a terminal, which is to be given to it, and what
 * supervisors hold the jail by.
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
	/* The terminal has sent it to the whole foreground process group, the command's as well. */
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
	/* Without a handler the first process gets no signal; these are held since before it was there. */
	sigfillset(&awaited);
	while (!reap(command, &status, channel))
		if (sigwaitinfo(&awaited, &info) >= 0 && info.si_signo != SIGCHLD)
			pass_on(command, &info, options->group);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
