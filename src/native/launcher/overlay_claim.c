/* Checks the directories of overlays before there is a jail, and keeps other runs from using them. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static struct descriptors claimed;

static _Noreturn void refuse(const char *option, const char *where, const char *problem)
{
	char message[PATH_MAX + 512];
	snprintf(message, sizeof(message), "%s %s %s", option, printable(where), problem);
	die(message, NULL);
}

/* Returns whether a real path is another's or above it. */
static bool is_at_or_above(const char *outer, const char *inner)
{
	size_t length = strcmp(outer, "/") == 0 ? 0 : strlen(outer);
	return strncmp(outer, inner, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}

/* One layer within the other would change while it is used, which the kernel leaves undefined or refuses with ELOOP. */
static void refuse_nested(const char *where, const char *root)
{
	char store[PATH_MAX], lower[PATH_MAX];
	/* Missing directories are reported when they are opened. */
	if (realpath(where, store) == NULL || realpath(root, lower) == NULL)
		return;
	if (is_at_or_above(lower, store))
		refuse("--overlay", where, "is inside the root of the jail: give a directory outside of it");
	if (is_at_or_above(store, lower))
		refuse("--overlay", where, "contains the root of the jail: give a directory of its own");
}

/*
 * To mount an overlay's upper layer twice is undefined (Documentation/filesystems/overlayfs.rst), and without the
 * option `index` the kernel allows it.
 */
static void claim(const char *option, const char *where)
{
	int fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die_errno("open for the overlay", where);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			refuse(option, where, "is in use by another run: wait for its end, or give another directory");
		die_errno("lock for the overlay", where);
	}
	add_descriptor(&claimed, fd);
}

void claim_overlays(const struct options *options)
{
	if (options->overlay != NULL && strcmp(options->overlay, "tmpfs") != 0) {
		if (options->root != NULL)
			refuse_nested(options->overlay, options->root);
		claim("--overlay", options->overlay);
	}
	for (size_t i = 0; i < options->mount_count; i++) {
		const struct mount *mount = &options->mounts[i];
		if (mount->kind == MOUNT_OVERLAY && mount->upper != NULL)
			claim("the upper layer", mount->upper);
	}
}

void leave_claims(void)
{
	for (size_t i = 0; i < claimed.count; i++)
		close(claimed.items[i]);
}
