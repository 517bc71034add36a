#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* Interval between attempts at a lock that another process holds: a blocking call could not be interrupted. */
static const struct timespec interval = { 0, 50 * 1000 * 1000 };

/* Only one worker takes locks at a time, since the other operations wait for them. */
static int *locks;
static size_t lock_count;

static void hold(int fd)
{
	locks = realloc(locks, (lock_count + 1) * sizeof(*locks));
	if (locks == NULL)
		die("out of memory");
	locks[lock_count++] = fd;
}

void release_locks(void)
{
	while (lock_count > 0)
		close(locks[--lock_count]);
}

static int open_own_directory(int parent, const char *name)
{
	struct stat stat;
	bool made;
	int fd;

	do {
		made = mkdirat(parent, name, 0700) == 0;
		if (!made && errno != EEXIST)
			return -1;
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* The owner of its lock may have removed or renamed it after it was found. */
	} while (fd < 0 && errno == ENOENT);
	if (fd < 0)
		return -1;
	if (made)
		remove_acls(fd);
	if (fstat(fd, &stat) == 0) {
		/* A directory that others may write to must not hold root's files. */
		if (stat.st_uid == geteuid() && (stat.st_mode & 022) == 0)
			return fd;
		errno = ENOTDIR;
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
 * The descriptor stays open, and the lock with it, until the session or the process ends. The previous owner of the
 * lock may have renamed or removed the directory: then lock the new one.
 */
int lock_directory(struct worker *worker, int parent, const char *name, bool wait)
{
	for (;;) {
		int fd = open_own_directory(parent, name);
		if (fd < 0)
			return -1;
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int error = errno;
			if (error == EINTR)
				continue;
			if (error != EWOULDBLOCK) {
				/* The file system does not support locks: build without one. */
				reply_warning(worker, "lock", error);
				hold(fd);
				return 0;
			}
			if (!wait || is_stopped(worker)) {
				close(fd);
				errno = EAGAIN;
				return -1;
			}
			nanosleep(&interval, NULL);
		}
		if (is_still_there(parent, name, fd)) {
			hold(fd);
			return 0;
		}
		close(fd);
	}
}
