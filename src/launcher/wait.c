#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT,
};

static sigset_t before, held;

/* From before the child is there until it is waited for, no signal is lost. */
void hold_signals(void)
{
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
static bool pass_on(const struct signalfd_siginfo *info, pid_t child, bool is_init)
{
	int signal = (int)info->ssi_signo;
	if (is_init && ends_by_default(signal) && !handles(child, signal)) {
		kill(child, SIGKILL);
		return true;
	}
	/* The terminal has sent it to the whole foreground process group, the child's as well. */
	bool has_it = info->ssi_code == SI_KERNEL && getpgid(child) == getpgrp();
	if (!has_it)
		kill(child, signal);
	return false;
}

/* A shell in the jail has made its process group the terminal's; ours gets the terminal back. */
static void take_back_terminal(void)
{
	sigset_t background;
	sigemptyset(&background);
	sigaddset(&background, SIGTTOU);
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) < 0)
		return;
	sigprocmask(SIG_BLOCK, &background, NULL);
	tcsetpgrp(STDIN_FILENO, getpgrp());
}

/* Waits for a signal, and meanwhile carries what there is to carry. */
static void await_signal(int signals, bool relays, struct signalfd_siginfo *info)
{
	struct pollfd polls[1 + RELAY_POLLS] = { { signals, POLLIN, 0 } };
	do {
		if (relays)
			prepare_relay(polls + 1);
		if (poll(polls, relays ? 1 + RELAY_POLLS : 1, -1) < 0) {
			if (errno != EINTR)
				fail("wait for signals", NULL);
			continue;
		}
		if (relays)
			carry(polls + 1);
	} while (!(polls[0].revents & POLLIN));
	if (read(signals, info, sizeof(*info)) != sizeof(*info))
		fail("read a signal", NULL);
}

/* Returns the exit status for what became of the child. */
int wait_for(pid_t child, bool is_command_init, int pty)
{
	bool in_foreground = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	int ended_by = 0, status;
	int signals = signalfd(-1, &held, SFD_CLOEXEC);

	if (signals < 0)
		fail("wait for signals", NULL);
	if (pty >= 0)
		begin_relay(pty);
	for (;;) {
		pid_t done = waitpid(child, &status, WNOHANG);
		if (done == child)
			break;
		if (done < 0 && errno != EINTR)
			fail("wait for the child", NULL);
		struct signalfd_siginfo info;
		await_signal(signals, pty >= 0, &info);
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (pty >= 0 && info.ssi_signo == SIGWINCH)
			resize_terminal();
		else if (pass_on(&info, child, is_command_init))
			ended_by = (int)info.ssi_signo;
	}
	if (pty >= 0)
		end_relay();
	if (in_foreground)
		take_back_terminal();
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + (ended_by != 0 ? ended_by : WTERMSIG(status));
}
