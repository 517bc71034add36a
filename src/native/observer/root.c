/* What `/` is for each process: chroot(2), pivot_root(2) and mount namespaces give names other meanings. */
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
#include <unistd.h>

/* More than any run has; what comes then is taken as unknown. */
enum { MOST_ROOTS = 1024 };

static struct root *roots[MOST_ROOTS];
static size_t count;
/* The directory that is the first root. */
static int first = -1;
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
	/* The top is before every path with nothing more. */
	return strdup(strcmp(text, "/") == 0 ? "" : text);
}

/* How a root is named in the first root. */
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
	} else {
		root->is_known = place(root);
	}
	roots[count++] = root;
	return root;
}

/*
 * Looks without opening, and stays below the root. Only in the first root: in others, the observed may
 * have mounted what never answers.
 */
bool is_absent(const struct root *root, const char *path, bool no_follow)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (no_follow ? O_NOFOLLOW : 0),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	if (!root->is_first || first < 0)
		return false;
	int found = (int)syscall(SYS_openat2, first, path, &how, sizeof(how));
	if (found < 0)
		return errno == ENOENT || errno == ENOTDIR;
	close(found);
	return false;
}
