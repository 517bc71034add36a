/*
 * Times commands in turn: stopwatch ROUNDS COMMAND [ARGUMENT...] [--- COMMAND [ARGUMENT...]]...
 * Prints a line for each command and round: the command's index, its microseconds, its exit status,
 * its peak resident memory in kilobytes, and the microseconds of CPU time that it and the children
 * it has waited for used. A script would take longer to start a process than the
 * fastest of these run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 32 };
extern char **environ;

static double micros(struct timeval time)
{
	return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	char **commands[MOST];
	int count = 0, rounds = atoi(argv[1]);
	posix_spawn_file_actions_t quiet;

	commands[count++] = argv + 2;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "---") != 0 || count == MOST)
			continue;
		argv[i] = NULL;
		commands[count++] = argv + i + 1;
	}
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	/* The first round warms the caches. */
	for (int round = -1; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			pid_t child;
			int status = 0;
			struct rusage usage = { 0 };
			double start = now();
			if (posix_spawnp(&child, commands[i][0], &quiet, NULL, commands[i], environ) != 0)
				status = -1;
			else
				wait4(child, &status, 0, &usage);
			double time = now() - start;
			if (round >= 0)
				printf("%d %.1f %d %ld %.0f\n", i, time, status, usage.ru_maxrss,
				       micros(usage.ru_utime) + micros(usage.ru_stime));
		}
	}
	return 0;
}
