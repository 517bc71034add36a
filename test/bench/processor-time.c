/*
 * Runs a command and prints the microseconds of processor time used by it and all its descendants,
 * including those it leaves behind: processor-time COMMAND [ARGUMENT...]. The time is the last line
 * on standard error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage used;
	int status, result = 125;

	if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 125;
	pid_t child = fork();
	if (child < 0)
		return 125;
	if (child == 0) {
		execvp(argv[1], argv + 1);
		_exit(125);
	}
	for (;;) {
		pid_t ended = waitpid(-1, &status, 0);
		if (ended < 0 && errno != EINTR)
			break;
		if (ended == child)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	getrusage(RUSAGE_CHILDREN, &used);
	fprintf(stderr, "%ld\n",
		(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec +
			used.ru_stime.tv_usec);
	return result;
}
