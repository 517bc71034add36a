#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT,
};

static sigset_t before;

/* From before the child is there until it is waited for, no signal is lost. */
void hold_signals(void)
{
	sigset_t held;
	sigemptyset(&held);
	sigaddset(&held, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(&held, passed_on[i]);
	if (sigprocmask(SIG_BLOCK, &held, &before) < 0)
		fail("hold signals", NULL);
}

void release_signals(void)
{
	if (sigprocmask(SIG_SETMASK, &before, NULL) < 0)
		fail("release signals", NULL);
}

/* True if a process catches or ignores a signal; proc(5), SigCgt and SigIgn. */
static bool handles(pid_t process, int signal)
{
	char path[32], line[256];
	unsigned long long handled = 0, mask;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)process);
	FILE *status = fopen(path, "re");
	if (status == NULL)
		return true;
	while (fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "SigCgt: %llx", &mask) == 1 || sscanf(line, "SigIgn: %llx", &mask) == 1)
			handled |= mask;
	fclose(status);
	return (handled >> (signal - 1)) & 1;
}

static bool ends_by_default(int signal)
{
	return signal != SIGWINCH && signal != SIGCONT;
}

/*
 * The kernel does to the first process of a PID namespace only what that process has asked for
 * (pid_namespaces(7)): a plain command there would not end by Ctrl-C. What a signal does elsewhere is
 * done here by SIGKILL. Returns true then.
 */
static bool pass_on(const siginfo_t *info, pid_t child, bool is_init)
{
	int signal = info->si_signo;
	if (is_init && ends_by_default(signal) && !handles(child, signal)) {
		kill(child, SIGKILL);
		return true;
	}
	/* The terminal has sent it to the whole foreground process group, the child's as well. */
	bool has_it = info->si_code == SI_KERNEL && getpgid(child) == getpgrp();
	if (!has_it)
		kill(child, signal);
	return false;
}

/* A shell in the jail has made its process group the terminal's; ours gets the terminal back. */
static void take_back_terminal(void)
{
	sigset_t held;
	sigemptyset(&held);
	sigaddset(&held, SIGTTOU);
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) < 0)
		return;
	sigprocmask(SIG_BLOCK, &held, NULL);
	tcsetpgrp(STDIN_FILENO, getpgrp());
}

/* Returns the exit status for what became of the child. */
int wait_for(pid_t child, bool is_init)
{
	bool in_foreground = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	sigset_t awaited;
	int ended_by = 0, status;

	sigfillset(&awaited);
	for (;;) {
		pid_t done = waitpid(child, &status, WNOHANG);
		if (done == child)
			break;
		if (done < 0 && errno != EINTR)
			fail("wait for the child", NULL);
		siginfo_t info;
		if (sigwaitinfo(&awaited, &info) < 0 || info.si_signo == SIGCHLD)
			continue;
		if (pass_on(&info, child, is_init))
			ended_by = info.si_signo;
	}
	if (in_foreground)
		take_back_terminal();
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + (ended_by != 0 ? ended_by : WTERMSIG(status));
}
