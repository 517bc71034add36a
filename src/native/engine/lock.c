#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* How often a lock that another process has is tried: blocking could not be broken off. */
static const struct timespec interval = { 0, 50 * 1000 * 1000 };

static int open_own_directory(int parent, const char *name)
{
	struct stat stat;
	bool made = mkdirat(parent, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return -1;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (made)
		remove_acls(fd);
	if (fstat(fd, &stat) == 0) {
		/* One that others may enter to write is no place for what becomes root's files. */
		if (stat.st_uid == geteuid() && (stat.st_mode & 022) == 0)
			return fd;
		errno = EPERM;
	}
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool is_still_there(int parent, const char *name, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/*
 * The descriptor stays open, and with it the lock, until this process ends. Who had the lock before may
 * have renamed or removed the directory: then there is another one to lock.
 */
int lock_directory(struct worker *worker, int parent, const char *name, bool wait)
{
	for (;;) {
		int fd = open_own_directory(parent, name);
		/* Removed between being found and being opened. */
		if (fd < 0 && errno == ENOENT && wait)
			continue;
		if (fd < 0)
			return -1;
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int error = errno;
			if (error == EINTR)
				continue;
			if (error != EWOULDBLOCK) {
				/* A file system without locks: better no lock than no jail. */
				reply_warning(worker, "lock", error);
				return 0;
			}
			if (!wait || is_stopped(worker)) {
				close(fd);
				errno = EAGAIN;
				return -1;
			}
			nanosleep(&interval, NULL);
		}
		if (is_still_there(parent, name, fd))
			return 0;
		close(fd);
	}
}
