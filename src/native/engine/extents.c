#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Maximum number of extents reported for one file; the rest is reported as data. */
#define MAX_EXTENTS 4096

/*
 * Finds the next data from an offset on, up to the file's size (lseek(2)). If the file system does not report holes,
 * everything is data. Returns false if there is no more.
 */
bool find_data(int fd, off_t *at, off_t *end, off_t size)
{
	if (*at >= size)
		return false;
	off_t data = lseek(fd, *at, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return false;
	off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	if (data >= size)
		return false;
	if (data >= 0 && hole > data)
		*at = data;
	*end = hole < 0 || hole > size || hole <= *at ? size : hole;
	return true;
}

static void put_long(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* Replies with the start and end of each data extent, eight bytes each. */
int list_extents(struct worker *worker, const char *source)
{
	struct stat stat;
	int fd = open_source(source, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	int result = fstat(fd, &stat);
	if (result == 0 && S_ISREG(stat.st_mode)) {
		uint8_t *extents = malloc(MAX_EXTENTS * 16);
		size_t count = 0;
		if (extents == NULL)
			die("out of memory");
		for (off_t at = 0, end; find_data(fd, &at, &end, stat.st_size); at = end) {
			if (count == MAX_EXTENTS - 1)
				end = stat.st_size;
			put_long(extents + count * 16, (uint64_t)at);
			put_long(extents + count * 16 + 8, (uint64_t)end);
			count++;
		}
		reply_data(worker, extents, count * 16);
		free(extents);
	}
	int error = errno;
	close(fd);
	errno = error;
	return result;
}
