#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat2(2), which the C library's headers may lack. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
struct how {
	uint64_t flags, mode, resolve;
};
enum { NO_MAGICLINKS = 0x02, NO_SYMLINKS = 0x04, BENEATH = 0x08 };

static bool has_openat2;

static int call_openat2(int root, const char *path, int flags, uint64_t resolve)
{
	struct how how = { (uint64_t)(flags | O_CLOEXEC), 0, resolve };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* Kernels before 5.6 lack it, and some sandboxes refuse it. */
void probe_openat2(void)
{
	int fd = call_openat2(AT_FDCWD, "/", O_PATH | O_DIRECTORY, NO_SYMLINKS);

	has_openat2 = fd >= 0;
	if (fd >= 0)
		close(fd);
}

/* Opens a path component by component; each must be a directory and not a link. */
static int walk(int root, const char *path, int flags)
{
	int at = *path == '/' ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : root;

	while (*path == '/')
		path++;
	for (;;) {
		char name[256];
		size_t length = strcspn(path, "/");
		bool is_last = path[length] == '\0';
		if (length >= sizeof(name)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		int how = is_last ? flags : O_PATH | O_DIRECTORY;
		int next = openat(at, length == 0 ? "." : name, how | O_NOFOLLOW | O_CLOEXEC);
		int error = errno;
		if (at != root)
			close(at);
		errno = error;
		if (next < 0 || is_last)
			return next;
		at = next;
		path += length + 1;
	}
}

/* Opens an existing path below a directory, following no symbolic links, whatever others do to the tree meanwhile. */
int open_beneath(int root, const char *path, int flags)
{
	if (!has_openat2)
		return walk(root, path, flags);
	uint64_t beneath = *path == '/' ? 0 : BENEATH;
	return call_openat2(root, path, flags, beneath | NO_SYMLINKS | NO_MAGICLINKS);
}

/* Opens a source. Plans name sources without links, so a link on the way was created since. */
int open_source(const char *path, int flags)
{
	return open_beneath(source_fd, path, flags);
}

void forget_directory(struct worker *worker)
{
	if (worker->directory_fd >= 0)
		close(worker->directory_fd);
	worker->directory_fd = -1;
}

void forget_files(struct worker *worker)
{
	forget_directory(worker);
	if (worker->output_fd >= 0)
		close(worker->output_fd);
	worker->output_fd = -1;
}

/*
 * Opens the directory that contains an entry and returns the entry's name. The worker owns the descriptor, which is
 * valid until the next call for another directory.
 */
int open_parent(struct worker *worker, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL) {
		*name = path;
		return base_fd;
	}
	*name = slash + 1;
	size_t length = (size_t)(slash - path);
	if (length >= sizeof(worker->directory)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (worker->directory_fd >= 0 && strncmp(worker->directory, path, length) == 0 &&
	    worker->directory[length] == '\0')
		return worker->directory_fd;
	forget_directory(worker);
	memcpy(worker->directory, path, length);
	worker->directory[length] = '\0';
	worker->directory_fd = open_beneath(base_fd, worker->directory, O_PATH | O_DIRECTORY);
	return worker->directory_fd;
}
