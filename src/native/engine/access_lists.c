#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

/* The greatest length of an attribute is that of xattr(7). */
enum { LENGTH_SIZE = 4, MAX_LIST = 65536 };

static bool write_answer(const uint8_t *list, ssize_t length)
{
	uint32_t count = length < 0 ? UINT32_MAX : (uint32_t)length;
	uint8_t head[LENGTH_SIZE];

	for (int i = 0; i < LENGTH_SIZE; i++)
		head[i] = (uint8_t)(count >> (8 * i));
	return fwrite(head, sizeof(head), 1, stdout) == 1 &&
	       (length <= 0 || fwrite(list, (size_t)length, 1, stdout) == 1);
}

int print_access_lists(void)
{
	static uint8_t list[MAX_LIST];
	char *path = NULL;
	size_t size = 0;

	while (getdelim(&path, &size, '\0', stdin) > 0) {
		ssize_t length = lgetxattr(path, "system.posix_acl_access", list, sizeof(list));
		if (length < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
			length = 0;
		if (!write_answer(list, length))
			return EXIT_FAILURE;
	}
	free(path);
	return ferror(stdin) == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
