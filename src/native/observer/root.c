/* The root of each process: chroot(2), pivot_root(2) and mount namespaces change the meaning of names. */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
/* Since Linux 5.12; older kernels refuse it, so the result is unknown. */
#define RESOLVE_CACHED 0x20
#endif

/* More than any run has; further roots count as unknown. */
enum { MOST_ROOTS = 1024 };

static struct root *roots[MOST_ROOTS];
static size_t count;
/* The directory that is the first root. */
static int first = -1;
/* Whether it is also the observer's root. */
static bool is_own;
static unsigned int generation;

static const struct root unknown = { .text = "", .prefix = "" };

void roots_changed(void)
{
	generation++;
}

unsigned int root_generation(void)
{
	return generation;
}

static char *text_of(pid_t process)
{
	char path[32], text[PATH_SIZE];
	snprintf(path, sizeof(path), "/proc/%d/root", process);
	ssize_t length = readlink(path, text, sizeof(text) - 1);
	if (length < 0)
		return NULL;
	text[length] = '\0';
	/* `/` becomes the empty prefix. */
	return strdup(strcmp(text, "/") == 0 ? "" : text);
}

/* Determines the prefix of a root in the first root. */
static bool place(struct root *root)
{
	const struct root *start = roots[0];
	size_t length = strlen(start->text);

	root->prefix = "";
	if (root->device == start->device && root->inode == start->inode)
		return true;
	if (root->namespace != start->namespace || strncmp(root->text, start->text, length) != 0 ||
	    root->text[length] != '/')
		return false;
	root->prefix = root->text + length;
	return true;
}

/* Returns whether a path has the same meaning for the observer. */
static bool is_our_root(const struct root *root)
{
	struct stat own, namespace;
	return stat("/", &own) == 0 && own.st_dev == root->device && own.st_ino == root->inode &&
	       stat("/proc/self/ns/mnt", &namespace) == 0 && namespace.st_ino == root->namespace;
}

const struct root *root_of(pid_t process)
{
	char path[40];
	struct stat root_stat, namespace_stat;

	snprintf(path, sizeof(path), "/proc/%d/root", process);
	if (stat(path, &root_stat) < 0)
		return &unknown;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", process);
	if (stat(path, &namespace_stat) < 0)
		return &unknown;
	for (size_t i = 0; i < count; i++)
		if (roots[i]->device == root_stat.st_dev && roots[i]->inode == root_stat.st_ino &&
		    roots[i]->namespace == namespace_stat.st_ino)
			return roots[i];
	struct root *root = count < MOST_ROOTS ? calloc(1, sizeof(*root)) : NULL;
	if (root == NULL)
		return &unknown;
	*root = (struct root){ root_stat.st_dev, root_stat.st_ino, namespace_stat.st_ino, true, count == 0,
			       text_of(process), "" };
	if (root->text == NULL) {
		free(root);
		return &unknown;
	}
	if (count == 0) {
		snprintf(path, sizeof(path), "/proc/%d/root", process);
		first = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		is_own = is_our_root(root);
		learn_served(process);
	} else {
		root->is_known = place(root);
	}
	roots[count++] = root;
	return root;
}

/* Their links differ for each process (proc(5)). */
static bool is_of_kernel(const char *path)
{
	return strncmp(path, "/proc", 5) == 0 || strncmp(path, "/dev", 4) == 0;
}

/* Recognises files such as those of /proc by any name: they are empty, on file systems without a device. */
static bool may_be_of_kernel(const struct stat *file)
{
	return S_ISREG(file->st_mode) && file->st_size == 0 && major(file->st_dev) == 0;
}

int look_up(const struct root *root, const char *path, bool no_follow, mode_t *mode)
{
	struct stat found;

	if (!root->is_first || !is_own || is_served(path) || is_of_kernel(path))
		return EXDEV;
	if (fstatat(AT_FDCWD, path, &found, AT_NO_AUTOMOUNT | (no_follow ? AT_SYMLINK_NOFOLLOW : 0)) < 0)
		return errno == ENOTDIR ? ENOENT : errno;
	if (may_be_of_kernel(&found))
		return EXDEV;
	*mode = found.st_mode;
	return 0;
}

/* Looks up without opening, and stays below the root. Only in the first root. */
bool is_absent(const struct root *root, const char *path, bool no_follow)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (no_follow ? O_NOFOLLOW : 0),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (is_served(path) ? RESOLVE_CACHED : 0),
	};
	mode_t mode;
	int error = look_up(root, path, no_follow, &mode);
	if (error == 0 || error == ENOENT)
		return error == ENOENT;
	if (!root->is_first || first < 0)
		return false;
	int found = (int)syscall(SYS_openat2, first, path, &how, sizeof(how));
	if (found < 0)
		return errno == ENOENT || errno == ENOTDIR;
	close(found);
	return false;
}
