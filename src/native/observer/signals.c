#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile pid_t target;

/* A terminal signals the whole foreground process group, which includes the command. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	(void)context;
	int error = errno;
	if (info->si_code != SI_KERNEL && target > 0)
		kill(target, signal);
	errno = error;
}

static void do_nothing(int signal)
{
	(void)signal;
}

void pass_signals_to(pid_t child)
{
	static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART }, before;

	target = child;
	for (size_t i = 0; i < COUNT(passed_on); i++)
		/* Ignored signals stay ignored, as nohup(1) requires. */
		if (sigaction(passed_on[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(passed_on[i], &action, NULL);
}

void tick_every(int milliseconds)
{
	struct sigaction action = { .sa_handler = do_nothing };
	struct itimerval interval = { { 0, milliseconds * 1000 }, { 0, milliseconds * 1000 } };
	sigset_t ticks;
	/* It may be blocked or ignored where the observer comes from. */
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&ticks);
	sigaddset(&ticks, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &ticks, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}
