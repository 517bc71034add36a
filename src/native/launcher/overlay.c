/*
 * An overlay that keeps writes to a root or another directory separate (the kernel's
 * Documentation/filesystems/overlayfs.rst). Works in user namespaces since Linux 5.11.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void configure(int context, const char *key, const char *value)
{
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0) < 0)
		die_errno("set the option of an overlay", key);
}

/* Passes directories by descriptor, since some characters in a path have a meaning to the file system. */
static void configure_layers(int context, const char *key, const int *fds, size_t count)
{
	/* fsconfig(2) accepts strings of up to 255 bytes. */
	char links[256] = "";
	size_t length = 0;
	for (size_t i = 0; i < count; i++) {
		int added = snprintf(links + length, sizeof(links) - length, "%s/proc/self/fd/%d", i > 0 ? ":" : "",
				     fds[i]);
		length += (size_t)added;
		if (length >= sizeof(links))
			die("the overlay has too many lower directories", NULL);
	}
	configure(context, key, links);
}

/* Opens a directory of the store; a new one gets the owner and mode of `like`. */
static int own_directory(int where, const char *name, const struct stat *like, const char *path)
{
	bool is_new = mkdirat(where, name, 0700) == 0;
	if (!is_new && errno != EEXIST)
		die_errno("make a directory for the overlay in", path);
	int fd = openat(where, name, (is_new ? O_RDONLY : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		die_errno("open a directory for the overlay in", path);
	if (is_new && like != NULL) {
		/* An owner that this user namespace does not have cannot be given. */
		if (fchown(fd, like->st_uid, like->st_gid) < 0 && errno != EPERM && errno != EINVAL)
			die_errno("give an owner to a directory for the overlay in", path);
		if (fchmod(fd, like->st_mode & 07777) < 0)
			die_errno("give a mode to a directory for the overlay in", path);
	}
	return fd;
}

/* The initial user namespace has a fixed inode number (the kernel's include/linux/proc_ns.h, PROC_USER_INIT_INO). */
static bool is_in_user_namespace(void)
{
	struct stat stat;
	return fstatat(AT_FDCWD, "/proc/self/ns/user", &stat, 0) < 0 || stat.st_ino != 0xEFFFFFFDU;
}

/* The upper layer and the work directory. */
struct layers {
	int upper, work;
};

/* The overlay's own directory is that of the upper layer, which is therefore made like the lower one. */
static struct layers open_layers(int store, int lower, const char *where)
{
	struct stat like;
	if (fstat(lower, &like) < 0)
		die_errno("open the lower layer of the overlay in", where);
	return (struct layers){ own_directory(store, "upper", &like, where), own_directory(store, "work", NULL, where) };
}

/* The first lower directory is the topmost. */
static int make_overlay(const int *lowers, size_t count, struct layers layers, const char *path)
{
	scoped_fd context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (context < 0)
		die_errno("make a file system of type", "overlay");
	log_step("mounting an overlay on %s", path);
	configure(context, "source", "overlay");
	configure_layers(context, "lowerdir", lowers, count);
	configure_layers(context, "upperdir", &layers.upper, 1);
	configure_layers(context, "workdir", &layers.work, 1);
	configure(context, "index", "off");
	if (is_in_user_namespace()) {
		/*
		 * Attributes in other namespaces need privileges outside a user namespace. The options set below are implied by
		 * this one.
		 */
		if (syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
			die_errno("set the option of an overlay", "userxattr");
	} else {
		/* Without redirects and metacopy, the upper layer holds complete files and can be listed. */
		configure(context, "redirect_dir", "off");
		configure(context, "metacopy", "off");
	}
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die_advised("mount an overlay on", path,
			    errno == ELOOP ? "each directory may be only one of its layers" :
			    "the upper layer's file system must support xattrs and not be an overlay itself: try --overlay tmpfs");
	int overlay = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0U);
	if (overlay < 0)
		die_errno("make a mount of type", "overlay");
	return overlay;
}

static int make_store(void)
{
	return make_filesystem("tmpfs", ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV, "mode=0700", NULL);
}

int open_layer(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die_errno("open for the overlay", path);
	return fd;
}

int mount_overlay(int root, const char *where, const char *path, int *upper)
{
	bool in_memory = strcmp(where, "tmpfs") == 0;
	scoped_fd store = in_memory ? make_store() : open_layer(where);
	/* The already opened root, used as the lower layer, stays reachable below it. */
	if (in_memory)
		attach(store, root, "", path);
	struct layers layers = open_layers(store, root, where);
	int overlay = make_overlay(&root, 1, layers, path);
	attach(overlay, root, "", path);
	close(layers.work);
	*upper = layers.upper;
	return overlay;
}

int make_overlay_of(const struct mount *mount, int place)
{
	if (mount->upper != NULL)
		return make_overlay(mount->lower_fds, mount->lower_count,
				    (struct layers){ mount->upper_fd, mount->work_fd }, mount->source);
	scoped_fd store = make_store();
	/* The layers must be on a mount of this namespace; the overlay covers it. */
	attach(store, place, "", mount->target);
	struct layers layers = open_layers(store, mount->lower_fds[0], mount->target);
	int overlay = make_overlay(mount->lower_fds, mount->lower_count, layers, mount->source);
	close(layers.upper);
	close(layers.work);
	return overlay;
}
