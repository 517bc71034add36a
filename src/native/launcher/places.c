/*
 * Records mount points created in a root, in the directory of the jail's record: an export omits them, and a removal
 * deletes them (src/jail/record/mount-points.ts).
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE "/.jailbuild"

/* Directory of the record, or -1 if the root has none made by jailbuild. */
static int state = -1;

/* Called before anything is mounted in the root, since an empty directory will cover the record. */
void find_record(int root)
{
	struct stat stat;
	if (state >= 0)
		close(state);
	state = open_in_root(root, STATE, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	if (state < 0)
		return;
	if (fstat(state, &stat) == 0 && stat.st_uid == geteuid() && (stat.st_mode & 022) == 0)
		return;
	close(state);
	state = -1;
}

/* Writes the path of an open file as the host sees it. Returns its length, or 0. */
static size_t path_of(int fd, char path[PATH_MAX])
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return 0;
	path[length] = '\0';
	return (size_t)length;
}

void note_place(int root, int place)
{
	char above[PATH_MAX], path[PATH_MAX];
	if (state < 0)
		return;
	size_t cut = path_of(root, above), length = path_of(place, path);
	if (cut == 1)
		cut = 0;
	if (length <= cut || strncmp(above, path, cut) != 0 || path[cut] != '/' || strcmp(path + cut, STATE) == 0)
		return;
	scoped_fd notes = openat(state, "mount-points", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* Each path ends with a NUL. Without a note, a mount point counts as the user's. */
	if (notes < 0 || write(notes, path + cut, length - cut + 1) < 0)
		log_step("%s is not noted", path);
}

/* Creating a mount point must not change its directory's time. */
void restore_time(int directory, const struct stat *before)
{
	char link[32];
	struct timespec times[2] = { before->st_atim, before->st_mtim };
	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	if (utimensat(AT_FDCWD, link, times, 0) < 0)
		log_step("the time of a directory changes");
}
