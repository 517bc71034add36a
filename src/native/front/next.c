#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A new process image holds no locks, threads or directories of the build, and parses the words as any others. */
void become_next(char **words, size_t count, const char *root)
{
	if (count == 0)
		exit(0);
	char **next = calloc(count + 3, sizeof(*next));
	if (next == NULL)
		fail(125, "out of memory");
	next[0] = "jailbuild";
	next[1] = words[0];
	next[2] = (char *)root;
	memcpy(next + 3, words + 1, (count - 1) * sizeof(*next));
	execv("/proc/self/exe", next);
	fail(125, "/proc/self/exe: %s", strerror(errno));
}
