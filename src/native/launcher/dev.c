/* A minimal /dev: what most programs expect, and none of the host's hardware. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Numbers from the kernel's Documentation/admin-guide/devices.txt. */
static const struct {
	const char *name;
	unsigned int major, minor;
} devices[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },	 { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },	 { "core", "/proc/kcore" },
};

static void make_file(int dev, const char *name)
{
	int fd = openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die_errno("make in /dev", name);
	close(fd);
}

/* In a user namespace no device can be made, so the host's is mounted instead. */
static void bind_device(int dev, const char *name)
{
	char path[32];
	snprintf(path, sizeof(path), "/dev/%s", name);
	int tree = clone_tree(AT_FDCWD, path);
	if (tree < 0)
		die_errno("copy the mount of", path);
	make_file(dev, name);
	attach(tree, dev, name, path);
	close(tree);
}

void mount_dev(int root)
{
	log_step("mounting a minimal /dev");
	int place = make_mount_point(root, "/dev", true);
	/* The size covers /dev/shm, for which a separate file system would not be safer. */
	int dev = make_filesystem("tmpfs", ATTRIBUTE_NOSUID | ATTRIBUTE_NOEXEC, "mode=0755,size=64m", NULL);
	attach(dev, place, "", "/dev");
	close(place);

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		const char *name = devices[i].name;
		if (mknodat(dev, name, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) == 0)
			continue;
		if (errno != EPERM)
			die_errno("make in /dev", name);
		bind_device(dev, name);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			die_errno("make in /dev", links[i].name);
	if (mkdirat(dev, "shm", 01777) < 0 || mkdirat(dev, "pts", 0755) < 0)
		die_errno("make in /dev", "shm, pts");
	int pts = make_filesystem("devpts", ATTRIBUTE_NOSUID | ATTRIBUTE_NOEXEC,
				  "newinstance,ptmxmode=0666,mode=0620", NULL);
	attach(pts, dev, "pts", "/dev/pts");
	close(pts);
	close(dev);
}

void bind_console(int root, int terminal_tree)
{
	log_step("making the terminal /dev/console");
	int dev = open_in_root(root, "/dev", O_PATH | O_DIRECTORY);
	if (dev < 0)
		die_errno("open in the jail", "/dev");
	make_file(dev, "console");
	attach(terminal_tree, dev, "console", "/dev/console");
	close(terminal_tree);
	close(dev);
}
