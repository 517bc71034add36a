#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void make_mounts_private(void)
{
	tell("making all mounts private");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("make private the mounts below", "/");
}

/*
 * With mounts of our own the old root is taken away, so that no chroot(2) within the jail can reach it
 * again; pivot_root(2) wants the new root to be a mount point. Else chroot(2) is all there is.
 */
void enter_root(const char *root, bool own_mounts)
{
	tell("making %s the root directory", root);
	if (!own_mounts) {
		if (chroot(root) < 0)
			fail("change the root directory to", root);
	} else {
		if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
			fail("mount on itself the directory", root);
		if (chdir(root) < 0)
			fail("change to the directory", root);
		/* The old root comes to lie upon the new one (pivot_root(2), NOTES). */
		if (syscall(SYS_pivot_root, ".", ".") < 0)
			fail("change the root directory to", root);
		if (umount2(".", MNT_DETACH) < 0)
			fail("take away the old root", NULL);
	}
	if (chdir("/") < 0)
		fail("change to the directory", "/");
}

void make_proc(void)
{
	if (mkdir("/proc", 0555) == 0)
		tell("made /proc");
	else if (errno != EEXIST)
		fail("make the directory", "/proc");
}

void mount_proc(void)
{
	tell("mounting proc at /proc");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		fail("mount proc at", "/proc");
}
