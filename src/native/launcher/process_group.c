/* Process groups, by which a terminal says whom its keys concern (setpgid(2), tty_ioctl(4)). */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

bool has_terminal(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* A terminal of a group that has ended is for us to take; that of any other is not, as of the shell's. */
void take_back_terminal(void)
{
	pid_t group = isatty(STDIN_FILENO) ? tcgetpgrp(STDIN_FILENO) : -1;
	if (group > 0 && kill(-group, 0) < 0 && errno == ESRCH)
		give_terminal(getpgrp());
}

/*
 * On a terminal for input and output the command is as a job of a shell. Where but one is a terminal, the
 * other end of a pipe may read from the terminal too, and all stay together.
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

/* From a group that is not in the foreground, this stops who asks, unless the signal is held. */
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
