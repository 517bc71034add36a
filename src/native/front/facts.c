#define _GNU_SOURCE
#include "../engine/engine.h"
#include "stored.h"

#include <pthread.h>
#include <unistd.h>

/* Below this number of blocks, threads cost more than they save. */
#define FEW_BLOCKS 16
#define THREADS 8

/* Work that threads share. */
struct checking {
	int jail;
	const struct operation *checks;
	size_t count;
	_Atomic size_t next;
	_Atomic bool failed;
};

static void *check_some(void *argument)
{
	struct checking *checking = argument;

	for (size_t i; !checking->failed && (i = checking->next++) < checking->count;) {
		const struct operation *check = &checking->checks[i];
		if (!check_block(check->flag ? checking->jail : source_fd, check))
			checking->failed = true;
	}
	return NULL;
}

bool take_contents_of(struct fields *fields, struct operation *checks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *content;
		if (!take_text(fields, checks[i].content_length, &content))
			return false;
		checks[i].content = (const uint8_t *)content;
	}
	return true;
}

bool check_all(int jail, const struct operation *checks, size_t count)
{
	struct checking checking = { .jail = jail, .checks = checks, .count = count };
	pthread_t threads[THREADS];
	size_t started = 0;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	while (count > FEW_BLOCKS && started < THREADS && (long)started + 1 < processors &&
	       pthread_create(&threads[started], NULL, check_some, &checking) == 0)
		started++;
	check_some(&checking);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	return !checking.failed;
}
