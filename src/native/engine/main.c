#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

/* Serves the process at the other end of the standard streams until it ends. */
int main(int argc, char *argv[])
{
	uint8_t head[4];

	if (argc == 2 && strcmp(argv[1], "--access-lists") == 0)
		return print_access_lists();
	prepare_to_serve();
	while (read_exactly(head, sizeof(head))) {
		uint32_t length = parse_number(head, sizeof(head));
		if (length == 0 || length > MAX_REQUEST)
			die("a request of invalid length");
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
