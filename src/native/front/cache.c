#define _GNU_SOURCE
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int open_cache(const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	int length = -1;

	if (cache != NULL && *cache == '/')
		length = snprintf(path, sizeof(path), "%s/jailbuild/%s", cache, name);
	else if (geteuid() == 0)
		length = snprintf(path, sizeof(path), "/var/cache/jailbuild/%s", name);
	else if (home != NULL && *home == '/')
		length = snprintf(path, sizeof(path), "%s/.cache/jailbuild/%s", home, name);
	return length < 0 || (size_t)length >= sizeof(path) ? -1 : open_safe_directory(path);
}

bool map_file(int directory, const char *name, struct fields *content, struct stat *stat)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	void *bytes = MAP_FAILED;

	if (fd < 0)
		return false;
	if (fstat(fd, stat) == 0 && S_ISREG(stat->st_mode) && stat->st_nlink == 1 &&
	    (stat->st_uid == 0 || stat->st_uid == geteuid()) && (stat->st_mode & 077) == 0 &&
	    stat->st_size > 0 && (size_t)stat->st_size <= MAX_STORED)
		bytes = mmap(NULL, (size_t)stat->st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return false;
	*content = (struct fields){ bytes, (char *)bytes + stat->st_size };
	return true;
}

bool is_nothing(int directory, const char *name)
{
	struct stat stat;

	return fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}
