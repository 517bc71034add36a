/* Process groups, which determine the recipients of a terminal's signals (setpgid(2), tty_ioctl(4)). */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

bool has_terminal(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* The terminal can be taken from a group that has ended, but not from another, such as the shell's. */
void take_back_terminal(void)
{
	pid_t group = isatty(STDIN_FILENO) ? tcgetpgrp(STDIN_FILENO) : -1;
	if (group > 0 && kill(-group, 0) < 0 && errno == ESRCH)
		give_terminal(getpgrp());
}

/*
 * With a terminal for both input and output, the command is like a shell's job. If only one is a terminal, the process
 * at the other end of a pipe may also read from it, so all stay in one group.
 */
enum job_group choose_group(const struct options *options)
{
	if (!options->init || options->pty || options->new_session)
		return GROUP_SHARED;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return has_terminal() ? GROUP_FOREGROUND : GROUP_TERMINAL;
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return GROUP_SHARED;
	return GROUP_OWN;
}

/* From a background group, this stops the caller unless the signal is blocked. */
void give_terminal(pid_t group)
{
	sigset_t background, before;
	sigemptyset(&background);
	sigaddset(&background, SIGTTOU);
	sigprocmask(SIG_BLOCK, &background, &before);
	tcsetpgrp(STDIN_FILENO, group);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void enter_group(enum job_group group)
{
	if (group == GROUP_SHARED)
		return;
	if (setpgid(0, 0) < 0)
		die_errno("make a process group", NULL);
	if (group == GROUP_FOREGROUND)
		give_terminal(getpid());
}
