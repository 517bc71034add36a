#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Signals that may be meant for the command; Node gets them from a terminal or from this process. */
static const int PASSED_ON[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT };
#define PASSED_ON_COUNT (sizeof(PASSED_ON) / sizeof(PASSED_ON[0]))

static sigset_t before;
static bool ignored_ends;

/* Receives signals through a descriptor. Ignored signals stay ignored. */
int catch_signals(void)
{
	sigset_t caught;

	sigemptyset(&caught);
	for (size_t i = 0; i < PASSED_ON_COUNT; i++)
		sigaddset(&caught, PASSED_ON[i]);
	sigaddset(&caught, SIGTSTP);
	sigaddset(&caught, SIGCHLD);
	sigprocmask(SIG_BLOCK, &caught, &before);
	/* To a caller that ignores it, the kernel would neither send it nor keep the status (wait(2), NOTES). */
	ignored_ends = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
	int fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail(1, "signalfd: %s", strerror(errno));
	return fd;
}

void restore_signals(void)
{
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (ignored_ends)
		signal(SIGCHLD, SIG_IGN);
}

/* Stops as the sender of the signal intended; the shell sees the command stopped. */
static void stop_here(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	sigprocmask(SIG_BLOCK, &stop, NULL);
}

int take_signals(int signals, pid_t node)
{
	struct signalfd_siginfo info[8];
	int ended_by = 0;
	bool stopped = false;

	for (;;) {
		ssize_t count = read(signals, info, sizeof(info));
		if (count <= 0)
			break;
		for (size_t i = 0; i < (size_t)count / sizeof(info[0]); i++) {
			int signal = (int)info[i].ssi_signo;
			/* The kernel also sends a terminal's signals to Node. */
			bool is_for_both = info[i].ssi_code == SI_KERNEL;
			if (signal == SIGCHLD)
				continue;
			if (!is_for_both || signal == SIGCONT)
				kill(node, signal);
			if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP)
				ended_by = signal;
			if (signal == SIGTSTP)
				stopped = true;
			if (signal == SIGCONT)
				stopped = false;
		}
	}
	if (stopped)
		stop_here();
	return ended_by;
}
