#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Without a mount namespace only chroot(2) is available, which root can leave. */
void change_root(const char *root)
{
	log_step("making %s the root directory", root);
	scoped_fd outside = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (outside >= 0) {
		find_record(outside);
		mode_t mask = umask(0);
		close(make_mount_point(outside, "/proc", true));
		umask(mask);
	}
	if (chroot(root) < 0)
		die_errno("change the root directory to", root);
	if (chdir("/") < 0)
		die_errno("change to the directory", "/");
}

/*
 * A descriptor from outside belongs to a mount in another namespace, which cannot be copied; its path is looked up in
 * this namespace, if it still leads to the same file.
 */
static int clone_descriptor(const struct mount *mount)
{
	char link[32], path[PATH_MAX];
	struct stat given, found;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", mount->fd);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	if (length <= 0 || fstat(mount->fd, &given) < 0)
		die_errno("find what is open at descriptor", mount->source);
	path[length] = '\0';
	int tree = mount->is_flat ? clone_mount(AT_FDCWD, path) : clone_tree(AT_FDCWD, path);
	if (tree >= 0 && (fstat(tree, &found) < 0 || found.st_dev != given.st_dev || found.st_ino != given.st_ino))
		die("no path leads to the file open at descriptor", mount->source);
	return tree;
}

/* Opens the sources, which are unreachable after the root has changed. */
static void take_sources(const struct options *options)
{
	for (size_t i = 0; i < options->mount_count; i++) {
		struct mount *mount = &options->mounts[i];
		if (mount->kind == MOUNT_FILESYSTEM)
			mount->label = label_of_mount(options, mount->type);
		if (mount->kind == MOUNT_OVERLAY) {
			mount->lower_fds = allocate(mount->lower_count * sizeof(int));
			for (size_t lower = 0; lower < mount->lower_count; lower++)
				mount->lower_fds[lower] = open_layer(mount->lowers[lower]);
			mount->upper_fd = mount->upper != NULL ? open_layer(mount->upper) : -1;
			mount->work_fd = mount->work != NULL ? open_layer(mount->work) : -1;
		}
		if (mount->kind != MOUNT_BIND)
			continue;
		mount->tree = mount->fd >= 0   ? clone_descriptor(mount) :
			      mount->is_flat ? clone_mount(AT_FDCWD, mount->source) :
					       clone_tree(AT_FDCWD, mount->source);
		if (mount->tree < 0 && errno == ENOENT && mount->is_optional) {
			log_step("%s is not there, and need not be", mount->source);
			continue;
		}
		if (mount->tree < 0)
			die_errno("copy the mount of", mount->source);
		set_attributes(mount->tree, mount->attributes, mount->source);
	}
}

/* Returns the terminal that the launcher was started on, or -1 if there is none or it is not visible here. */
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

static void refuse_root(const char *target)
{
	if (target[strspn(target, "/")] == '\0')
		die("nothing can be mounted on the root of the jail", NULL);
}

static void copy_data(int from, int to, const char *target)
{
	char bytes[1 << 16];
	ssize_t got;
	while ((got = read(from, bytes, sizeof(bytes))) > 0)
		for (ssize_t done = 0, put; done < got; done += put)
			if ((put = write(to, bytes + done, (size_t)(got - done))) < 0)
				die_errno("write in the jail", target);
	if (got < 0)
		die_errno("read the content of", target);
}

/* In a user namespace no device can be made; uses the host's if it is in its usual place. */
static int device_of_host(const struct mount *mount)
{
	struct stat there;
	if (stat(mount->target, &there) < 0 || there.st_rdev != mount->device ||
	    (there.st_mode & S_IFMT) != (mount->mode & S_IFMT))
		return -1;
	return clone_mount(AT_FDCWD, mount->target);
}

/* Creates a new file or device out of sight of the jail, as a tree to mount. */
static int make_tree(int root, const struct mount *mount)
{
	int workshop = open_workshop(root);
	if (mount->kind == MOUNT_DEVICE) {
		if (mknodat(workshop, "made", mount->mode, mount->device) < 0) {
			int device = device_of_host(mount);
			if (device < 0)
				die_errno("make the device", mount->target);
			close_workshop(workshop);
			return device;
		}
		if (fchownat(workshop, "made", mount->uid, mount->gid, AT_SYMLINK_NOFOLLOW) < 0)
			die_errno("set the owner of", mount->target);
	} else {
		scoped_fd file = openat(workshop, "made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (file < 0)
			die_errno("make a file to be mounted at", mount->target);
		copy_data(mount->fd, file, mount->target);
		if (fchmod(file, mount->mode != MODE_UNSET ? mount->mode : 0600) < 0)
			die_errno("set the mode of", mount->target);
	}
	int tree = take_from_workshop(workshop);
	close_workshop(workshop);
	if (mount->attributes != 0)
		set_attributes(tree, mount->attributes, mount->target);
	return tree;
}

static int tree_of(int root, const struct mount *mount)
{
	const char *data = mount->data;
	switch (mount->kind) {
	case MOUNT_FILESYSTEM:
		if (data == NULL && strcmp(mount->type, "tmpfs") == 0)
			data = is_shared_by_all(mount->target) ? "mode=1777" : "mode=0755";
		log_step("mounting a file system of type %s at %s", mount->type, mount->target);
		return make_filesystem(mount->type, mount->attributes, data, mount->label);
	case MOUNT_DATA:
	case MOUNT_DEVICE:
		log_step("mounting a new file or device at %s", mount->target);
		return make_tree(root, mount);
	default:
		log_step("mounting %s at %s", mount->source, mount->target);
		return mount->tree;
	}
}

static void mount_overlay_in_root(int root, const struct mount *mount)
{
	scoped_fd place = make_mount_point(root, mount->target, true);
	if (!is_directory(place)) {
		errno = ENOTDIR;
		die_errno("mount at", mount->target);
	}
	scoped_fd tree = make_overlay_of(mount, place);
	set_attributes(tree, mount->attributes, mount->target);
	attach(tree, place, "", mount->target);
}

static void mount_in_root(int root, const struct mount *mount)
{
	refuse_root(mount->target);
	if (mount->kind == MOUNT_OVERLAY) {
		mount_overlay_in_root(root, mount);
		return;
	}
	scoped_fd tree = tree_of(root, mount);
	bool directory = is_directory(tree);
	scoped_fd place = make_mount_point(root, mount->target, directory);
	if (is_directory(place) != directory) {
		errno = directory ? ENOTDIR : EISDIR;
		die_errno("mount at", mount->target);
	}
	attach(tree, place, "", mount->target);
}

static void cover_in_root(int root, const struct mount *mount)
{
	refuse_root(mount->target);
	scoped_fd place = open_in_root(root, mount->target, O_PATH);
	if (place < 0 && errno == ENOENT)
		return;
	if (place < 0)
		die_errno("open in the jail", mount->target);
	bool masks = mount->kind == MOUNT_MASK;
	log_step("%s %s", masks ? "masking" : "protecting", mount->target);
	scoped_fd tree = masks ? empty_tree(is_directory(place)) : clone_tree(place, "");
	if (tree < 0)
		die_errno("copy the mount to cover", mount->target);
	if (!masks)
		set_attributes(tree, ATTRIBUTE_READ_ONLY, mount->target);
	attach(tree, place, "", mount->target);
}

/* Opens the parent directory of a path, creating it if missing; returns the last name. */
static int open_parent(int root, const char *path, char name[NAME_MAX + 1])
{
	char parent[PATH_MAX];
	const char *end = path + strlen(path);
	while (end > path && end[-1] == '/')
		end--;
	const char *start = end;
	while (start > path && start[-1] != '/')
		start--;
	size_t length = (size_t)(start - path);
	if (length >= sizeof(parent) || end - start > NAME_MAX || start == end)
		die("this path cannot be created in the jail", path);
	snprintf(name, NAME_MAX + 1, "%.*s", (int)(end - start), start);
	snprintf(parent, sizeof(parent), "%.*s", (int)length, path);
	return make_mount_point(root, parent, true);
}

static void write_file(int root, const struct mount *mount)
{
	mode_t mode = mount->mode != MODE_UNSET ? mount->mode : 0644;
	scoped_fd place = make_with_mode(root, mount->target, S_IFREG | mode);
	/* By descriptor, since the name may refer to another file by now. */
	char link[32];
	struct stat stat;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	if (fstatat(place, "", &stat, AT_EMPTY_PATH) < 0 || !S_ISREG(stat.st_mode))
		die("not a regular file in the jail", mount->target);
	/* A new file may deny writing to its owner. */
	if (mount->mode != MODE_UNSET && chmod(link, 0600) < 0)
		die_errno("set the mode of", mount->target);
	scoped_fd file = open(link, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (file < 0)
		die_errno("write in the jail", mount->target);
	copy_data(mount->fd, file, mount->target);
	if (mount->mode != MODE_UNSET && fchmod(file, mount->mode) < 0)
		die_errno("set the mode of", mount->target);
}

static void make_link(int root, const struct mount *mount)
{
	char name[NAME_MAX + 1], there[PATH_MAX];
	scoped_fd parent = open_parent(root, mount->target, name);
	if (symlinkat(mount->source, parent, name) == 0)
		return;
	ssize_t length = errno == EEXIST ? readlinkat(parent, name, there, sizeof(there)) : -1;
	bool is_same = length == (ssize_t)strlen(mount->source) && memcmp(there, mount->source, (size_t)length) == 0;
	if (is_same)
		return;
	errno = EEXIST;
	die_errno("make the symbolic link", mount->target);
}

static void change_mode(int root, const struct mount *mount)
{
	char link[32];
	scoped_fd place = open_in_root(root, mount->target, O_PATH);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	if (place < 0 || chmod(link, mount->mode) < 0)
		die_errno("set the mode of", mount->target);
}

static void make_directory(int root, const struct mount *mount)
{
	mode_t mode = mount->mode != MODE_UNSET ? mount->mode : 0755;
	scoped_fd there = make_with_mode(root, mount->target, S_IFDIR | mode);
	if (is_directory(there))
		return;
	errno = ENOTDIR;
	die_errno("make the directory", mount->target);
}

static void put_in_root(int root, const struct mount *mount)
{
	switch (mount->kind) {
	case MOUNT_MASK:
	case MOUNT_PROTECT:
		cover_in_root(root, mount);
		return;
	case MAKE_FILE:
		write_file(root, mount);
		return;
	case MAKE_DIRECTORY:
		make_directory(root, mount);
		return;
	case MAKE_LINK:
		make_link(root, mount);
		return;
	case CHANGE_MODE:
		change_mode(root, mount);
		return;
	default:
		if (mount->kind != MOUNT_BIND || mount->tree >= 0)
			mount_in_root(root, mount);
	}
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);
	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* Returns whether a path is inside another mount, where nothing is created in advance. */
static bool is_within_another(const struct options *options, const char *target)
{
	if ((options->make_dev && is_below(target, "/dev")) || (!options->no_proc && is_below(target, "/proc")))
		return true;
	for (size_t i = 0; i < options->mount_count; i++)
		if (options->mounts[i].kind <= MOUNT_DEVICE && is_below(target, options->mounts[i].target))
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
	find_record(root);
	if (options->new_pid && !options->no_proc)
		close(make_mount_point(root, "/proc", true));
	if (options->make_dev)
		close(make_mount_point(root, "/dev", true));
	for (size_t i = 0; i < options->mount_count; i++) {
		const struct mount *mount = &options->mounts[i];
		bool directory = mount->kind == MOUNT_FILESYSTEM || mount->kind == MOUNT_OVERLAY;
		if (mount->kind > MOUNT_DEVICE || is_within_another(options, mount->target))
			continue;
		if (mount->kind == MOUNT_BIND) {
			int failed = mount->fd >= 0 ? fstat(mount->fd, &stat_of_source) :
						      stat(mount->source, &stat_of_source);
			if (failed && errno == ENOENT && mount->is_optional)
				continue;
			if (failed)
				die_errno("copy the mount of", mount->source);
			directory = S_ISDIR(stat_of_source.st_mode);
		}
		close(make_mount_point(root, mount->target, directory));
	}
	close(root);
	umask(mask);
}

/*
 * Mounts the old root on top of the new one and detaches it (pivot_root(2), NOTES). An initramfs cannot be moved: the
 * new root is mounted over it, and nothing in the jail can get below, since `..` ends at a root.
 */
static void pivot(int root, const char *path)
{
	if (fchdir(root) < 0)
		die_errno("change to the directory", path);
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			die_errno("detach the old root", NULL);
	} else if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
		die_errno("change the root directory to", path);
	}
	if (chdir("/") < 0)
		die_errno("change to the directory", "/");
}

/*
 * Makes mounts private, so that nothing mounted here appears outside. In a chroot, no path leads to the mount it is in;
 * joining the mount namespace, even the present one, sets the root to the namespace's (setns(2)).
 */
static void make_private(void)
{
	log_step("making all mounts private");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return;
	scoped_fd self = errno == EINVAL ? (int)syscall(SYS_pidfd_open, getpid(), 0) : -1;
	if (self < 0 || setns(self, CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die_errno("make the mounts private below", "/");
}

/* Makes the root a mount of its own, which pivot_root(2) requires. */
static int bind_root(int given, const struct options *options, const char *path, int channel)
{
	log_step("making %s the root directory", path);
	if (options->overlay != NULL) {
		int layer;
		int overlay = mount_overlay(given, options->overlay, path, &layer);
		if (options->changes_fd >= 0)
			send_descriptor(channel, layer);
		close(layer);
		return overlay;
	}
	int root = clone_tree(given, "");
	if (root < 0)
		die_errno("bind-mount the directory on itself", path);
	set_attributes(root, 0, path);
	attach(root, given, "", path);
	return root;
}

/* Mounts everything in the new root and enters it. The old root is detached: no chroot(2) in the jail can reach it. */
void make_root(struct options *options, int channel)
{
	const char *path = options->root != NULL ? options->root : "/";
	bool is_new = options->root != NULL;
	mode_t mask = umask(0);
	scoped_fd given = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat before, after;
	if (given < 0 || stat("/", &before) < 0)
		die_errno("open", path);

	/* While paths still mean what they mean to the caller, also those of its terminal and standard input. */
	take_sources(options);
	int terminal = options->make_dev && !options->pty ? take_terminal_tree() : -1;
	if (options->protects_input) {
		scoped_fd input = protect_input();
		send_descriptor(channel, input);
	}
	make_private();
	/* make_private() may have left a chroot. */
	is_new = is_new || stat("/", &after) < 0 || before.st_ino != after.st_ino || before.st_dev != after.st_dev;

	scoped_fd root = is_new ? bind_root(given, options, path, channel) : dup(given);
	if (root < 0)
		die_errno("open", path);
	find_record(root);
	struct statvfs status;
	bool make_read_only = options->read_only && fstatvfs(root, &status) == 0 && !(status.f_flag & ST_RDONLY);
	bool no_devices = options->make_dev || options->no_devices;
	if (options->root != NULL && (options->read_only || no_devices)) {
		set_attributes(root,
			       (options->read_only ? ATTRIBUTE_READ_ONLY : 0U) | (no_devices ? ATTRIBUTE_NODEV : 0U),
			       path);
		/* Stays writable until all mount points have been created. */
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
		put_in_root(root, &options->mounts[i]);
	if (make_read_only)
		set_read_only(root, true, path);
	if (is_new)
		pivot(root, path);
	umask(mask);
}
