#define _GNU_SOURCE
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As fs/insecure-parent.ts, but without links, and refusing every directory that a group may write to. */
static bool is_safe(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && (stat.st_uid == 0 || stat.st_uid == geteuid()) &&
	       ((stat.st_mode & 022) == 0 || (stat.st_mode & S_ISVTX) != 0);
}

int open_safe_directory(const char *path)
{
	char names[PATH_MAX], *rest = names;

	if (*path != '/' || strlen(path) >= sizeof(names))
		return -1;
	strcpy(names, path);
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && is_safe(fd)) {
		char *name = strsep(&rest, "/");
		while (name != NULL && *name == '\0')
			name = strsep(&rest, "/");
		if (name == NULL)
			return fd;
		int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

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
