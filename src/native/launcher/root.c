#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Without mounts of our own chroot(2) is all there is, and root may leave it. */
void change_root(const char *root)
{
	log_step("making %s the root directory", root);
	if (chroot(root) < 0)
		die_errno("change the root directory to", root);
	if (chdir("/") < 0)
		die_errno("change to the directory", "/");
	if (mkdir("/proc", 0555) == 0)
		log_step("made /proc");
	else if (errno != EEXIST)
		die_errno("make the directory", "/proc");
}

/* The sources are outside, and out of reach once the root is another. */
static void take_sources(const struct options *options)
{
	for (size_t i = 0; i < options->mount_count; i++) {
		struct mount *mount = &options->mounts[i];
		if (mount->source == NULL)
			continue;
		unsigned int attributes = ATTRIBUTE_NOSUID;
		if (mount->kind != MOUNT_DEVICES)
			attributes |= ATTRIBUTE_NODEV;
		if (mount->read_only)
			attributes |= ATTRIBUTE_READ_ONLY;
		mount->tree = clone_tree(AT_FDCWD, mount->source);
		if (mount->tree < 0)
			die_errno("take the mount of", mount->source);
		set_attributes(mount->tree, attributes, mount->source);
	}
}

/* The terminal that we were started on, or -1: of none, or of one that cannot be seen from here. */
static int take_terminal_tree(void)
{
	char path[PATH_MAX];
	struct stat stream, file;
	for (int fd = 0; fd < 3; fd++) {
		if (!isatty(fd) || ttyname_r(fd, path, sizeof(path)) != 0)
			continue;
		if (fstat(fd, &stream) == 0 && stat(path, &file) == 0 && stream.st_rdev == file.st_rdev)
			return clone_tree(AT_FDCWD, path);
	}
	return -1;
}

static bool is_directory(int fd)
{
	struct stat stat;
	return fstatat(fd, "", &stat, AT_EMPTY_PATH) == 0 && S_ISDIR(stat.st_mode);
}

static bool is_shared_by_all(const char *path)
{
	return strcmp(path, "/tmp") == 0 || strcmp(path, "/var/tmp") == 0 || strcmp(path, "/dev/shm") == 0;
}

static void mount_in_root(int root, const struct mount *mount)
{
	const char *target = mount->target;
	int tree = mount->tree;

	if (target[strspn(target, "/")] == '\0')
		die("nothing can be mounted on the root of the jail", NULL);
	if (mount->kind == MOUNT_TMPFS) {
		const char *data = mount->data;
		if (data == NULL)
			data = is_shared_by_all(target) ? "mode=1777" : "mode=0755";
		log_step("mounting a tmpfs at %s", target);
		tree = make_filesystem("tmpfs", ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV, data);
	} else {
		log_step("mounting %s at %s", mount->source, target);
	}
	bool directory = is_directory(tree);
	int place = make_mount_point(root, target, directory);
	if (is_directory(place) != directory) {
		errno = directory ? ENOTDIR : EISDIR;
		die_errno("mount at", target);
	}
	attach(tree, place, "", target);
	close(place);
	close(tree);
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);
	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* What lies within another mount is not of the jail's own files. */
static bool is_within_another(const struct options *options, const char *target)
{
	if ((options->make_dev && is_below(target, "/dev")) || (!options->no_proc && is_below(target, "/proc")))
		return true;
	for (size_t i = 0; i < options->mount_count; i++)
		if (is_below(target, options->mounts[i].target))
			return true;
	return false;
}

void make_places(const struct options *options)
{
	mode_t mask = umask(0);
	struct stat stat_of_source;
	int root = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die_errno("open", options->root);
	if (options->new_pid && !options->no_proc)
		close(make_mount_point(root, "/proc", true));
	if (options->make_dev)
		close(make_mount_point(root, "/dev", true));
	for (size_t i = 0; i < options->mount_count; i++) {
		const struct mount *mount = &options->mounts[i];
		if (is_within_another(options, mount->target))
			continue;
		if (mount->source != NULL && stat(mount->source, &stat_of_source) < 0)
			die_errno("take the mount of", mount->source);
		bool directory = mount->source == NULL || S_ISDIR(stat_of_source.st_mode);
		close(make_mount_point(root, mount->target, directory));
	}
	close(root);
	umask(mask);
}

/* The old root comes to lie upon the new one, and is taken away from there (pivot_root(2), NOTES). */
static void pivot(int root, const char *path)
{
	if (fchdir(root) < 0)
		die_errno("change to the directory", path);
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		die_errno("change the root directory to", path);
	if (umount2(".", MNT_DETACH) < 0)
		die_errno("take away the old root", NULL);
	if (chdir("/") < 0)
		die_errno("change to the directory", "/");
}

/*
 * With mounts of our own the old root is taken away, so that no chroot(2) within the jail can reach it
 * again; pivot_root(2) wants the new root to be a mount point.
 */
void make_root(struct options *options)
{
	const char *path = options->root != NULL ? options->root : "/";
	mode_t mask = umask(0);

	/* Before anything is mounted, so that nothing of it is seen outside. */
	log_step("making all mounts private");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die_errno("make private the mounts below", "/");
	take_sources(options);
	int terminal = options->make_dev && !options->pty ? take_terminal_tree() : -1;

	if (options->root != NULL) {
		log_step("making %s the root directory", path);
		if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
			die_errno("mount on itself the directory", path);
	}
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die_errno("open", path);

	struct statvfs status;
	bool make_read_only = options->read_only && fstatvfs(root, &status) == 0 && !(status.f_flag & ST_RDONLY);
	if (options->root != NULL && (options->read_only || options->make_dev)) {
		set_attributes(root,
			       (options->read_only ? ATTRIBUTE_READ_ONLY : 0U) |
				       (options->make_dev ? ATTRIBUTE_NODEV : 0U),
			       path);
		/* Until all is mounted, places to mount on may have to be made. */
		if (make_read_only)
			set_read_only(root, false, path);
	}

	if (options->new_pid && !options->no_proc)
		mount_proc(root, options->mask_proc);
	if (options->make_dev)
		mount_dev(root);
	if (terminal >= 0)
		bind_console(root, terminal);
	for (size_t i = 0; i < options->mount_count; i++)
		mount_in_root(root, &options->mounts[i]);
	if (make_read_only)
		set_read_only(root, true, path);
	if (options->root != NULL)
		pivot(root, path);
	close(root);
	umask(mask);
}
