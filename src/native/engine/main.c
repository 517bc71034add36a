#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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

<<<<<<< HEAD
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

=======
/* Serves whoever has the other ends of the standard streams, until its end. */
>>>>>>> main
int main(void)
{
	uint8_t head[4];

	prepare_to_serve();
	while (read_exactly(head, sizeof(head))) {
		uint32_t length = parse_number(head, sizeof(head));
		if (length == 0 || length > MAX_REQUEST)
			die("a request of no good length");
		uint8_t *bytes = malloc(length);
		if (bytes == NULL)
			die("out of memory");
		if (!read_exactly(bytes, length))
			break;
		serve(bytes, length);
	}
	finish_jobs();
	return 0;
}
