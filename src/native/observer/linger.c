/* The end of the command, and of observing what it leaves running. */
#define _GNU_SOURCE
#include "observer.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void command_ended(struct observation *observation, int status, const struct options *options)
{
	observation->result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	observation->has_ended = true;
	observation->end = now() + options->linger;
}

void end_in_time(struct observation *observation)
{
	if (!observation->has_ended || observation->is_over || now() < observation->end)
		return;
	observation->is_over = true;
	close_report(observation->result);
	/* Readers of the command's output must not wait for the observer. */
	prctl(PR_SET_PDEATHSIG, 0);
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && nothing >= 0; fd++)
		dup2(nothing, fd);
}

int end_of(const struct observation *observation)
{
	if (!observation->is_over)
		close_report(observation->result);
	return observation->result;
}
