/*
 * A root that can be written to and stays as it is (the kernel's Documentation/filesystems/overlayfs.rst).
 * Since Linux 5.11 a user namespace is enough.
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

static void configure(int context, const char *key, const char *value, int fd)
{
	char link[32];
	/* By its descriptor, so that no sign in a path means anything to the file system. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value != NULL ? value : link, 0) < 0)
		die_errno("set the option of an overlay", key);
}

static int own_directory(int where, const char *name, mode_t mode, const char *path)
{
	if (mkdirat(where, name, mode) < 0 && errno != EEXIST)
		die_errno("make for the overlay a directory in", path);
	int fd = openat(where, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		die_errno("open for the overlay a directory in", path);
	return fd;
}

/* The first user namespace has a fixed number (the kernel's include/linux/proc_ns.h, PROC_USER_INIT_INO). */
static bool is_in_user_namespace(void)
{
	struct stat stat;
	return fstatat(AT_FDCWD, "/proc/self/ns/user", &stat, 0) < 0 || stat.st_ino != 0xEFFFFFFDU;
}

int mount_overlay(int root, const char *where, const char *path)
{
	struct stat stat;
	bool in_memory = strcmp(where, "tmpfs") == 0;
	scoped_fd store = in_memory ? make_filesystem("tmpfs", ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV, "mode=0700") :
				      open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (store < 0)
		die_errno("open for the overlay", where);
	/* What is opened by the root, as the lower layer, lies below it. */
	if (in_memory)
		attach(store, root, "", path);
	if (fstat(root, &stat) < 0)
		die_errno("open", path);
	scoped_fd upper = own_directory(store, "upper", stat.st_mode & 07777, where);
	scoped_fd work = own_directory(store, "work", 0700, where);
	scoped_fd context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (context < 0)
		die_errno("make a file system of type", "overlay");
	log_step("laying an overlay upon %s", path);
	configure(context, "source", "overlay", -1);
	configure(context, "lowerdir", NULL, root);
	configure(context, "upperdir", NULL, upper);
	configure(context, "workdir", NULL, work);
	configure(context, "index", "off", -1);
	if (is_in_user_namespace()) {
		/* Other attributes need privileges outside of a user namespace. What is set below is implied. */
		if (syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
			die_errno("set the option of an overlay", "userxattr");
	} else {
		/* So that the upper layer is files as they are, and can be listed. */
		configure(context, "redirect_dir", "off", -1);
		configure(context, "metacopy", "off", -1);
	}
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die_advised("lay an overlay upon", path,
			    "the file system of the upper layer must have xattrs and be no overlay itself; try --overlay tmpfs");
	int overlay = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0U);
	if (overlay < 0)
		die_errno("make a mount of type", "overlay");
	attach(overlay, root, "", path);
	return overlay;
}
