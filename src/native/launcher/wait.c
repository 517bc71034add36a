#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT,
};

/* Sent by the kernel when the caller ends; otherwise unused here. */
enum { CALLER_ENDED = SIGPWR };

static sigset_t before, held;
static bool ignored_ends;

/* A signal and its cause (sigaction(2), si_code). */
struct arrived {
	int signal, code;
};

void tie_to_caller(pid_t caller)
{
	if (prctl(PR_SET_PDEATHSIG, CALLER_ENDED) < 0)
		die_errno("tie the jail to its caller", NULL);
	/* The caller ended before that. */
	if (getppid() != caller)
		raise(CALLER_ENDED);
}

/* A pidfd of the process whose exit ends the jail, or -1. */
static int tied_to = -1;

/* The number may have been reused unless the process is still the grandparent. */
void tie_to_process(const char *process)
{
	char path[64], line[512];
	int parent = -1;
	if (process == NULL)
		return;
	tied_to = (int)syscall(SYS_pidfd_open, (pid_t)parse_number(process, 10), 0);
	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)getppid());
	scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	line[length > 0 ? length : 0] = '\0';
	/* The name, in parentheses, may contain any character. */
	const char *rest = strrchr(line, ')');
	if (rest == NULL || sscanf(rest, ") %*c %d", &parent) != 1 || parent != parse_number(process, 10) || tied_to < 0)
		raise(CALLER_ENDED);
}

/* Blocks signals from before the child starts until it is reaped, so that none is lost. */
void hold_signals(void)
{
	sigemptyset(&held);
	sigaddset(&held, SIGCHLD);
	sigaddset(&held, CALLER_ENDED);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(&held, passed_on[i]);
	if (sigprocmask(SIG_BLOCK, &held, &before) < 0)
		die_errno("block signals", NULL);
	/* To a caller that ignores it, the kernel would neither send it nor keep the status (wait(2), NOTES). */
	ignored_ends = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
}

void release_signals(void)
{
	if (sigprocmask(SIG_SETMASK, &before, NULL) < 0)
		die_errno("unblock signals", NULL);
	if (ignored_ends)
		signal(SIGCHLD, SIG_IGN);
}

/* Returns whether a process catches or ignores a signal (proc(5), SigCgt and SigIgn). */
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
 * PID 1 of a namespace receives only signals it has a handler for, except SIGKILL and SIGSTOP from outside
 * (pid_namespaces(7)): Ctrl-C would not end a plain command. If the signal's default action is to terminate, SIGKILL is
 * sent instead, and true is returned.
 */
static bool pass_on(struct arrived arrived, pid_t child, bool is_init)
{
	int signal = arrived.signal;
	if (signal == CALLER_ENDED) {
		kill(child, SIGKILL);
		return false;
	}
	if (is_init && ends_by_default(signal) && !handles(child, signal)) {
		kill(child, SIGKILL);
		return true;
	}
	/* The terminal sent it to the whole foreground process group, including the child's. */
	bool has_it = arrived.code == SI_KERNEL && getpgid(child) == getpgrp();
	if (!has_it)
		kill(child, signal);
	return false;
}

/* How often the job was continued. */
static int rounds;

/* Tells the init whether the launcher, and so the command, has the terminal. */
static void go_on(pid_t child)
{
	union sigval value = { .sival_int = rounds << 1 | has_terminal() };
	sigqueue(child, SIGCONT, value);
}

/*
 * The command was stopped, for example by Ctrl-Z. Acts as the shell's job: takes the terminal back if the command had
 * it, and stops its own group until the shell continues it.
 */
static void stop_with_command(pid_t child, int channel)
{
	int state;
	sigset_t pending;
	if (recv(channel, &state, sizeof(state), MSG_DONTWAIT) != sizeof(state))
		return;
	bool had_terminal = state & 1;
	/*
	 * The shell does not notify a running job that it moves to the foreground. Its SIGCONT may also reach the init
	 * before the launcher's message: the command, still without the terminal, then stops once more.
	 */
	if (!had_terminal && (has_terminal() || state >> 1 != rounds)) {
		go_on(child);
		return;
	}
	if (had_terminal)
		give_terminal(getpgrp());
	kill(0, SIGTSTP);
	/* An orphaned process group does not stop (setpgid(2), NOTES), so the command must not stop either. */
	if (had_terminal && sigpending(&pending) == 0 && !sigismember(&pending, SIGCONT))
		go_on(child);
}

int open_ends(void)
{
	sigset_t ends;
	sigemptyset(&ends);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
		struct sigaction action;
		if (ends_by_default(passed_on[i]) && sigaction(passed_on[i], NULL, &action) == 0 &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&ends, passed_on[i]);
	}
	int fd = signalfd(-1, &ends, SFD_CLOEXEC);
	if (fd < 0)
		die_errno("wait for signals", NULL);
	return fd;
}

static struct arrived read_signal(int signals)
{
	struct signalfd_siginfo info;
	if (read(signals, &info, sizeof(info)) != sizeof(info))
		die_errno("read a signal", NULL);
	return (struct arrived){ (int)info.ssi_signo, info.ssi_code };
}

/* Waits for a signal and nothing else. */
static struct arrived sleep_until_signal(void)
{
	siginfo_t info;
	while (sigwaitinfo(&held, &info) < 0)
		if (errno != EINTR)
			die_errno("wait for signals", NULL);
	return (struct arrived){ info.si_signo, info.si_code };
}

/* Waits for a signal, relaying input and output meanwhile. */
static struct arrived await_signal(int signals, pid_t child, int channel, bool has_job, bool relays)
{
	struct pollfd polls[3 + RELAY_POLLS] = {
		{ signals, POLLIN, 0 }, { has_job ? channel : -1, POLLIN, 0 }, { tied_to, POLLIN, 0 },
	};
	do {
		if (relays)
			prepare_relay(polls + 3, false);
		polls[0].revents = 0;
		if (poll(polls, relays ? 3 + RELAY_POLLS : 3, -1) < 0) {
			if (errno != EINTR)
				die_errno("wait for signals", NULL);
			continue;
		}
		if (relays)
			carry(polls + 3);
		if (polls[2].revents & POLLIN) {
			tied_to = polls[2].fd = -1;
			kill(getpid(), CALLER_ENDED);
		}
		if (polls[1].revents & POLLIN)
			stop_with_command(child, channel);
		/* The other end is closed. */
		if (polls[1].revents & POLLHUP)
			polls[1].fd = -1;
	} while (!(polls[0].revents & POLLIN));
	return read_signal(signals);
}

/* How long to wait for the output's reader after a request to end, in milliseconds. */
enum { PATIENCE = 1000 };

/* Shows output that the jail wrote last; a signal ends this. */
static void show_rest(int signals, bool is_hurried)
{
	struct pollfd polls[1 + RELAY_POLLS] = { { signals, POLLIN, 0 } };
	while (prepare_relay(polls + 1, true)) {
		/* A process outside the PID namespace may still have the new terminal open. */
		bool shows = polls[RELAY_POLLS].fd >= 0;
		int ready = poll(polls, 1 + RELAY_POLLS, !shows ? 0 : is_hurried ? PATIENCE : -1);
		if (ready == 0 || (ready < 0 && errno != EINTR))
			break;
		if (ready < 0)
			continue;
		carry(polls + 1);
		int signal = polls[0].revents & POLLIN ? read_signal(signals).signal : SIGCHLD;
		if (signal != SIGCHLD && ends_by_default(signal))
			break;
	}
	end_relay();
}

int wait_for(pid_t child, const struct options *options, int channel, int pty)
{
	bool is_command_init = options->new_pid && !options->init;
	bool has_job = options->group == GROUP_TERMINAL || options->group == GROUP_FOREGROUND;
	bool is_hurried = false;
	int ended_by = 0, status;
	bool awaits_more = pty >= 0 || has_job || tied_to >= 0;
	int signals = awaits_more ? signalfd(-1, &held, SFD_CLOEXEC) : -1;

	if (awaits_more && signals < 0)
		die_errno("wait for signals", NULL);
	if (pty >= 0)
		begin_relay(pty);
	for (;;) {
		pid_t done = waitpid(child, &status, WNOHANG);
		if (done == child)
			break;
		if (done < 0 && errno != EINTR)
			die_errno("wait for the child", NULL);
		struct arrived arrived = awaits_more ? await_signal(signals, child, channel, has_job, pty >= 0) :
						       sleep_until_signal();
		int signal = arrived.signal;
		if (signal == SIGCHLD)
			continue;
		is_hurried = is_hurried || signal == SIGTERM || signal == SIGHUP || signal == CALLER_ENDED;
		if (pty >= 0 && signal == SIGWINCH)
			resize_terminal();
		else if (has_job && signal == SIGCONT) {
			rounds = (rounds + 1) & 0xffff;
			go_on(child);
		} else if (pass_on(arrived, child, is_command_init))
			ended_by = signal;
	}
	if (pty >= 0)
		show_rest(signals, is_hurried);
	/* The command, or a shell it ran, may have made its process group the terminal's. */
	take_back_terminal();
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + (ended_by != 0 ? ended_by : WTERMSIG(status));
}
