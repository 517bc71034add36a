/*
 * Lists the content of an overlay's upper layer (the kernel's Documentation/filesystems/overlayfs.rst), as records that
 * end with a NUL:
 *   KIND MODE UID GID SIZE MAJOR:MINOR PATH
 * followed, for a symbolic link, by a record with its target. KIND is w for a removed entry (a whiteout), o for an opaque
 * directory, which hides everything below, d, l, c, b, p or s for other types; for regular files = if the root has the
 * same content, otherwise f; and ? for a directory that cannot be read. MODE is octal.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The attribute's names outside and inside a user namespace. */
static bool is_opaque(int directory)
{
	char value[4];
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "trusted.overlay.opaque" : "user.overlay.opaque";
		if (fgetxattr(directory, name, value, sizeof(value)) == 1 && *value == 'y')
			return true;
	}
	return false;
}

/* A file that was only opened for writing is copied completely. */
static bool is_same(int upper, int root, const char *path, off_t size)
{
	enum { SIZE = 1 << 16 };
	static char *one, *other;
	struct stat stat;
	scoped_fd lower = open_in_root(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (lower < 0 || fstat(lower, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size != size)
		return false;
	if (one == NULL) {
		one = allocate(SIZE);
		other = allocate(SIZE);
	}
	for (off_t at = 0; at < size;) {
		ssize_t got = pread(upper, one, SIZE, at);
		if (got <= 0 || pread(lower, other, (size_t)got, at) != got || memcmp(one, other, (size_t)got) != 0)
			return false;
		at += got;
	}
	return true;
}

static char kind_of(const struct stat *stat)
{
	switch (stat->st_mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return stat->st_rdev == 0 ? 'w' : 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	default:
		return 'f';
	}
}

static void write_record(FILE *out, char kind, const struct stat *stat, const char *path)
{
	fprintf(out, "%c %04o %u %u %lld %u:%u %s", kind, (unsigned int)stat->st_mode & 07777, stat->st_uid,
		stat->st_gid, (long long)stat->st_size, major(stat->st_rdev), minor(stat->st_rdev), path);
	putc('\0', out);
}

static void list_directory(FILE *out, int parent, const char *name, int root, const char *above,
			   const struct stat *stat);

static void list_entry(FILE *out, int directory, const char *name, int root, const char *above)
{
	char path[PATH_MAX], link[PATH_MAX];
	struct stat stat;
	if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(stat.st_mode)) {
		list_directory(out, directory, name, root, above, &stat);
		return;
	}
	if (snprintf(path, sizeof(path), "%s/%s", above, name) >= (int)sizeof(path))
		return;
	char kind = kind_of(&stat);
	if (kind == 'f') {
		scoped_fd file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (file >= 0 && is_same(file, root, path, stat.st_size))
			kind = '=';
	}
	write_record(out, kind, &stat, path);
	if (kind != 'l')
		return;
	ssize_t length = readlinkat(directory, name, link, sizeof(link));
	fwrite(link, 1, length > 0 ? (size_t)length : 0, out);
	putc('\0', out);
}

/* A directory that cannot be read, or exceeds the limits on paths and descriptors, is reported as such. */
static void list_directory(FILE *out, int parent, const char *name, int root, const char *above,
			   const struct stat *stat)
{
	char path[PATH_MAX];
	bool is_top = *name == '\0';
	if (snprintf(path, sizeof(path), "%s%s%s", above, is_top ? "" : "/", name) >= (int)sizeof(path)) {
		write_record(out, '?', stat, above);
		return;
	}
	int fd = openat(parent, is_top ? "." : name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		write_record(out, '?', stat, is_top ? "/" : path);
		return;
	}
	write_record(out, is_opaque(fd) && !is_top ? 'o' : 'd', stat, is_top ? "/" : path);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			list_entry(out, fd, entry->d_name, root, path);
	closedir(directory);
}

void write_changes(int fd, int upper, const char *path)
{
	struct stat stat;
	scoped_fd root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstat(upper, &stat) < 0)
		die_errno("open", path);
	FILE *out = fdopen(fd, "w");
	if (out == NULL)
		die_errno("write the content of the overlay", NULL);
	list_directory(out, upper, "", root, "", &stat);
	if (fclose(out) != 0 && errno != EPIPE)
		die_errno("write the content of the overlay", NULL);
}
