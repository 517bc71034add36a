#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * glibc's malloc(3): use huge pages and return no memory during the run. Otherwise page faults take a tenth of a small
 * job's time (glibc.malloc.* in the GNU C Library manual).
 */
#define TUNABLES \
	"glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=67108864:" \
	"glibc.malloc.top_pad=4194304:glibc.malloc.trim_threshold=268435456"

void tune_memory(struct start *start)
{
	/* Respect a value set by the user. */
	start->tuned = getenv("GLIBC_TUNABLES") == NULL && setenv("GLIBC_TUNABLES", TUNABLES, 1) == 0;
}

/*
 * Saves the certificates variable: reading the file takes longer than Node's startup, and Node connects to nothing
 * here.
 */
static void put_aside_certificates(void)
{
	const char *file = getenv(CERTIFICATES);

	if (file != NULL && setenv(CERTIFICATES_ASIDE, file, 1) == 0)
		unsetenv(CERTIFICATES);
}

static void announce(const struct start *start, const struct channel *channel)
{
	char text[160];
	int process = (int)getpid(), length = 0;

	if (channel != NULL)
		length = snprintf(text, sizeof(text), "%d,%d,%d", channel->to_requests,
				  channel->to_replies, process);
	snprintf(text + length, sizeof(text) - (size_t)length, ";%s;%s,%d;%s,%d",
		 start->tuned ? "tuned" : "", start->key, process, start->build_key, start->target_word);
	setenv(FRONT_VARIABLE, text, 1);
	put_aside_certificates();
}

static void execute(const struct start *start)
{
	execv(start->node, start->words);
}

pid_t start_node(const struct start *start, const struct channel *channel)
{
	announce(start, channel);
	pid_t front = getpid();
	pid_t node = vfork();
	if (node < 0)
		fail(1, "vfork: %s", strerror(errno));
	if (node == 0) {
		restore_signals();
		fcntl(channel->to_requests, F_SETFD, 0);
		fcntl(channel->to_replies, F_SETFD, 0);
		/* Without this process, nothing would write files or return the status. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == front)
			execute(start);
		_exit(127);
	}
	close(channel->to_requests);
	close(channel->to_replies);
	return node;
}

void become_node(const struct start *start)
{
	announce(start, NULL);
	execute(start);
	fail(126, "%s: %s", start->node, strerror(errno));
}
