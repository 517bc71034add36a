/* Mounting by descriptor: the source and target are resolved once and cannot be changed afterwards. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From sys/mount.h, which conflicts with linux/mount.h. */
int umount2(const char *target, int flags);
#define MNT_DETACH 2
#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

/* Types and modes of a place that is missing, and of the directories above it. */
struct place {
	mode_t mode, above;
};

static int make_child(int root, int parent, const char *name, mode_t mode)
{
	struct stat before;
	bool is_known = fstat(parent, &before) == 0;
	int child;
	if (S_ISDIR(mode)) {
		if (mkdirat(parent, name, mode & 07777) < 0 && errno != EEXIST)
			return -1;
		child = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	} else {
		child = openat(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 07777);
	}
	if (child >= 0)
		note_place(root, child);
	if (child >= 0 && is_known)
		restore_time(parent, &before);
	return child;
}

/* The kernel's limit (path_resolution(7)). */
enum { MOST_LINKS = 40 };

static int make_place(int root, const char *path, struct place place, int links);

/* Creates the target of a dangling link, inside the jail. */
static int make_target(int root, const char *prefix, int length, const char *link, const char *rest,
		       struct place place, int links)
{
	char path[2 * PATH_MAX];
	const char *between = *rest != '\0' ? "/" : "";
	int size = *link == '/' ? snprintf(path, sizeof(path), "%s%s%s", link, between, rest) :
				  snprintf(path, sizeof(path), "%.*s/%s%s%s", length, prefix, link, between, rest);
	errno = links == MOST_LINKS ? ELOOP : ENAMETOOLONG;
	if (links == MOST_LINKS || size >= PATH_MAX)
		die_errno("make in the jail", prefix);
	return make_place(root, path, place, links + 1);
}

static int make_place(int root, const char *path, struct place place, int links)
{
	char part[PATH_MAX], name[NAME_MAX + 1], link[PATH_MAX];
	int fd = open_in_root(root, "/", O_PATH);

	for (const char *start = path + strspn(path, "/"), *next; *start != '\0'; start = next) {
		const char *end = start + strcspn(start, "/");
		next = end + strspn(end, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		snprintf(name, sizeof(name), "%.*s", (int)(end - start), start);
		int child = open_in_root(root, part, O_PATH);
		if (child < 0 && errno == ENOENT) {
			ssize_t length = readlinkat(fd, name, link, sizeof(link) - 1);
			if (length > 0) {
				link[length] = '\0';
				close(fd);
				return make_target(root, path, (int)(start - path), link, next, place, links);
			}
			child = make_child(root, fd, name, *next != '\0' ? place.above : place.mode);
		}
		if (child < 0)
			die_advised("make in the jail", path,
				    errno == EACCES || errno == EPERM ?
					    "the jail is another user's: make it as its owner, or use --overlay tmpfs" :
				    errno == EROFS ? "make it where the jail can be written to" :
						     NULL);
		close(fd);
		fd = child;
	}
	return fd;
}

static int open_or_make(int root, const char *path, struct place place)
{
	int fd = open_in_root(root, path, O_PATH);
	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		die_errno("open in the jail", path);
	log_step("making %s in the jail", path);
	return make_place(root, path, place, 0);
}

int make_mount_point(int root, const char *path, bool directory)
{
	/* The usual mode of /proc. */
	mode_t mode = strcmp(path, "/proc") == 0 ? 0555 : 0755;
	return open_or_make(root, path,
			    (struct place){ directory ? S_IFDIR | mode : S_IFREG | 0444, S_IFDIR | 0755 });
}

int make_with_mode(int root, const char *path, mode_t mode)
{
	/* bubblewrap's rule. */
	mode_t above = S_IFDIR | 0755;
	if ((mode & S_IRWXG) == 0)
		above &= ~(mode_t)S_IRWXG;
	if ((mode & S_IRWXO) == 0)
		above &= ~(mode_t)S_IRWXO;
	return open_or_make(root, path, (struct place){ mode, above });
}

static void configure(int context, unsigned int command, const char *key, const char *value, const char *type)
{
	if (syscall(SYS_fsconfig, context, command, key, value, 0) == 0)
		return;
	if (key != NULL)
		die_errno("set an option of", type);
	die_errno("make a file system of type", type);
}

int make_filesystem(const char *type, unsigned int attributes, const char *data, const char *label)
{
	char options[256] = "";
	char *rest = options;
	int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);

	if (context < 0)
		die_errno("make a file system of type", type);
	if (data != NULL && strlen(data) >= sizeof(options))
		die("the options of a file system are too long", data);
	if (data != NULL)
		strcpy(options, data);
	/* Shown in the first column of /proc/mounts; an option may override it. */
	if (strncmp(options, "source=", 7) != 0 && strstr(options, ",source=") == NULL)
		configure(context, FSCONFIG_SET_STRING, "source", type, type);
	for (char *key = strsep(&rest, ","); key != NULL && *key != '\0'; key = strsep(&rest, ",")) {
		char *value = strchr(key, '=');
		if (value != NULL)
			*value++ = '\0';
		configure(context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, type);
	}
	/* Not among the other options, since it contains commas. */
	if (label != NULL)
		configure(context, FSCONFIG_SET_STRING, "context", label, type);
	configure(context, FSCONFIG_CMD_CREATE, NULL, NULL, type);
	int tree = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	if (tree < 0)
		die_advised("make a mount of type", type, strcmp(type, "proc") == 0 ? proc_advice() : NULL);
	close(context);
	return tree;
}

int clone_tree(int directory, const char *path)
{
	return (int)syscall(SYS_open_tree, directory, path,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

int clone_mount(int directory, const char *path)
{
	return (int)syscall(SYS_open_tree, directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static void change_attributes(int tree, unsigned int flags, struct mount_attr change, const char *path)
{
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, &change, sizeof(change)) < 0)
		die_errno("set the attributes of the mount", path);
}

void set_attributes(int tree, unsigned int attributes, const char *path)
{
	struct mount_attr change = { .attr_set = attributes, .propagation = MS_PRIVATE };
	/* The four access time modes are values of one field (mount_setattr(2)). */
	if (attributes & (ATTRIBUTE_NOATIME | ATTRIBUTE_STRICTATIME))
		change.attr_clr = MOUNT_ATTR__ATIME;
	change_attributes(tree, AT_RECURSIVE, change, path);
}

void set_read_only(int tree, bool read_only, const char *path)
{
	struct mount_attr change = { 0 };
	*(read_only ? &change.attr_set : &change.attr_clr) = MOUNT_ATTR_RDONLY;
	change_attributes(tree, 0, change, path);
}

void attach(int tree, int directory, const char *name, const char *path)
{
	unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (*name == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0U);
	if (syscall(SYS_move_mount, tree, "", directory, name, flags) < 0)
		die_errno("mount at", path);
}

int empty_tree(bool directory)
{
	static int first = -1;
	if (!directory)
		return clone_tree(AT_FDCWD, "/dev/null");
	/* The first is created; the others are copies of it. */
	if (first >= 0)
		return clone_tree(first, "");
	first = make_filesystem("tmpfs",
				ATTRIBUTE_READ_ONLY | ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV | ATTRIBUTE_NOEXEC,
				"mode=0555,size=0,nr_inodes=1", NULL);
	return dup(first);
}

/* Only a mounted tree can be copied. It is mounted over the root; the already opened root stays reachable below it. */
int open_workshop(int root)
{
	int workshop = make_filesystem("tmpfs", ATTRIBUTE_NOSUID, "mode=0700", NULL);
	attach(workshop, root, "", "the root");
	return workshop;
}

int take_from_workshop(int workshop)
{
	int tree = clone_mount(workshop, "made");
	if (tree < 0)
		die_errno("take what was made for the jail", NULL);
	return tree;
}

void close_workshop(int workshop)
{
	if (fchdir(workshop) < 0 || umount2(".", MNT_DETACH) < 0)
		die_errno("unmount what was made for the jail", NULL);
	close(workshop);
}
