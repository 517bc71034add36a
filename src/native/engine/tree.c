#define _GNU_SOURCE
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Removes everything in a directory and closes its descriptor. */
static int empty_opened(int fd)
{
	DIR *directory = fdopendir(fd);
	struct dirent *entry;

	if (directory == NULL) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	int error = 0;
	while (error == 0) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL) {
			error = errno;
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_entry(fd, entry->d_name) < 0)
			error = errno;
	}
	closedir(directory);
	errno = error;
	return error == 0 ? 0 : -1;
}

int remove_content(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -1 : empty_opened(fd);
}

/* Removes an entry; for a directory, its content first. Does not follow links. */
int remove_entry(int directory, const char *name)
{
	if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	/* A plan may have made a directory that even its owner must chmod(2) before entering. */
	if (remove_content(directory, name) < 0) {
		if (errno != EACCES || fchmodat(directory, name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		if (remove_content(directory, name) < 0)
			return -1;
	}
	return unlinkat(directory, name, AT_REMOVEDIR);
}
