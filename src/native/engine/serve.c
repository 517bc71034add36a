#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int base_fd = -1, source_fd = -1;
int base_error = EBADF;

void close_directories(void)
{
	if (base_fd >= 0)
		close(base_fd);
	if (source_fd >= 0)
		close(source_fd);
	base_fd = source_fd = -1;
	base_error = EBADF;
}

static void begin(uint8_t *bytes, size_t length)
{
	const char *base, *source_root;

	parse_begin(bytes, length, &base, &source_root);
	close_directories();
	/* The client resolved the links of both paths. */
	base_fd = open_beneath(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
	base_error = errno;
	source_fd = open_beneath(AT_FDCWD, source_root, O_PATH | O_DIRECTORY);
}

/* Releases everything of one session: a front serves several in turn. */
static void end_session(uint32_t job)
{
	drop_jobs();
	release_locks();
	close_directories();
	reply_end(job, 0);
}

/*
 * The client decides when to end and undoes unfinished work, so signals from a terminal, which reach both processes,
 * must not end this one first. When the client ends, the input ends.
 */
static void ignore_signals(void)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
}

void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void prepare_to_serve(void)
{
	ignore_signals();
	allow_many_files();
	umask(0);
	probe_openat2();
}

void serve(uint8_t *bytes, size_t length)
{
	switch (bytes[0]) {
	case 'B':
		begin(bytes + 1, length - 1);
		break;
	case 'E':
		end_session(parse_number(bytes + 1, length - 1));
		break;
	case 'R':
		post_job(parse_job(bytes, length));
		return;
	case 'S':
		stop_run(parse_number(bytes + 1, length - 1));
		break;
	default:
		die("an unknown request");
	}
	free(bytes);
}
