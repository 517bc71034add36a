/*
 * Notes what is made in a root for something to be mounted on, in the directory of the root's record: an
 * export leaves it out, and a removal takes it away (src/jail/record/mount-points.ts).
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

/* The directory of the record, or -1 in a root that has none of ours. */
static int state = -1;

/* Called before anything is mounted in the root, for an empty directory will lie upon the record. */
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

/* The path of what is open, as the host sees it. Returns its length, or 0. */
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
	/* Each with its NUL. Without a note, what was made is taken for the owner's. */
	if (notes < 0 || write(notes, path + cut, length - cut + 1) < 0)
		log_step("%s is not noted", path);
}

/* What is made for a run does not change the time of the directory that it is made in. */
void restore_time(int directory, const struct stat *before)
{
	char link[32];
	struct timespec times[2] = { before->st_atim, before->st_mtim };
	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	if (utimensat(AT_FDCWD, link, times, 0) < 0)
		log_step("the time of a directory changes");
}
