#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A request holds at most the content of one generated file and some. */
#define MAX_REQUEST (1U << 30)

int base_fd = -1, source_fd = -1;
int base_error = EBADF;

/* Returns false at the end of the input. */
static bool read_exactly(uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = read(STDIN_FILENO, bytes, length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		bytes += count;
		length -= (size_t)count;
	}
	return true;
}

static void begin(uint8_t *bytes, size_t length)
{
	const char *base, *source_root;

	parse_begin(bytes, length, &base, &source_root);
	/* The links of both paths were followed by who asks. */
	base_fd = open_beneath(AT_FDCWD, base, O_RDONLY | O_DIRECTORY);
	base_error = errno;
	source_fd = open_beneath(AT_FDCWD, source_root, O_PATH | O_DIRECTORY);
}

/*
 * The one who asks decides when to end, and undoes what was begun: signals from a terminal, which reach
 * both, must not end us first. Its own end is the end of our input.
 */
static void ignore_signals(void)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
}

static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(void)
{
	uint8_t head[4];

	ignore_signals();
	allow_many_files();
	umask(0);
	probe_openat2();
	while (read_exactly(head, sizeof(head))) {
		uint32_t length = parse_number(head, sizeof(head));
		if (length == 0 || length > MAX_REQUEST)
			die("a request of no good length");
		uint8_t *bytes = malloc(length);
		if (bytes == NULL)
			die("out of memory");
		if (!read_exactly(bytes, length))
			break;
		switch (bytes[0]) {
		case 'B':
			begin(bytes + 1, length - 1);
			free(bytes);
			break;
		case 'R':
			post_job(parse_job(bytes, length));
			break;
		case 'S':
			stop_run(parse_number(bytes + 1, length - 1));
			free(bytes);
			break;
		default:
			die("an unknown request");
		}
	}
	finish_jobs();
	return 0;
}
