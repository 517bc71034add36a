#define _GNU_SOURCE
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kinds of blocks; src/jail/record/state-blocks.ts writes them. */
enum { HOST_FILES = 1, DIRECTORIES, ABSENT, LISTS, JAIL_ENTRIES, STAMPS };
enum { ANY_OWNER = 1, HARD_LINK = 2 };
/* Numbers stored for each file. */
enum { MODE, UID, GID, MTIME, SIZE, CTIME, DEV, INO, ROW };
enum { FLAGS = CTIME };
/* The difference from which two times are not the same, in milliseconds, as in manifest/differences.ts. */
#define TOLERANCE 0.002

/* A block: its type, the number of items, numbers for each item, and NUL-terminated strings. */
struct block {
	int root;
	uint32_t type, count;
	const uint8_t *rows;
	const char *at, *end;
	uint64_t recorded;
	/* A name that is not there was asked for: the file that it is from is damaged. */
	bool damaged;
};

static const char *take_name(struct block *block)
{
	const char *name = block->at;
	size_t left = (size_t)(block->end - block->at);
	size_t length = strnlen(name, left);

	if (length == left) {
		block->damaged = true;
		return "";
	}
	block->at += length + 1;
	return name;
}

/* Converts a time to Node's floating-point milliseconds. */
static double milliseconds(struct timespec time)
{
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Names have no links on the way; the root itself is the empty name. */
static int look(const struct block *block, const char *name, struct stat *stat)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

	return fstatat(block->root, *name == '\0' ? "." : name, stat, flags);
}

static bool is_host_file(struct block *block, const double *row)
{
	struct stat now;

	if (look(block, take_name(block), &now) < 0)
		return false;
	if (now.st_mode != row[MODE] || now.st_uid != row[UID] || now.st_gid != row[GID] ||
	    milliseconds(now.st_mtim) != row[MTIME])
		return false;
	return (block->type == HOST_FILES && S_ISDIR(now.st_mode)) ||
	       ((double)now.st_size == row[SIZE] && milliseconds(now.st_ctim) == row[CTIME] &&
		(double)now.st_dev == row[DEV] && (double)now.st_ino == row[INO]);
}

static bool is_link_to(const struct block *block, const char *name, const char *target)
{
	char text[4096];
	ssize_t length = readlinkat(block->root, name, text, sizeof(text));

	return length >= 0 && (size_t)length == strlen(target) &&
	       memcmp(text, target, (size_t)length) == 0;
}

static uint64_t nanoseconds(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Returns whether an entry is as planned and unchanged since its record was written. */
static bool is_jail_entry(struct block *block, const double *row)
{
	struct stat now, other;
	const char *name = take_name(block);
	mode_t type = (mode_t)row[MODE] & S_IFMT;
	unsigned flags = (unsigned)row[FLAGS];
	const char *further = type == S_IFLNK || (flags & HARD_LINK) ? take_name(block) : NULL;

	if (look(block, name, &now) < 0 || (now.st_mode & S_IFMT) != type)
		return false;
	if (!(flags & ANY_OWNER) && (now.st_uid != row[UID] || now.st_gid != row[GID]))
		return false;
	if (type == S_IFLNK) {
		return fabs(milliseconds(now.st_mtim) - row[MTIME]) < TOLERANCE &&
		       is_link_to(block, name, further);
	}
	if (now.st_mode != row[MODE])
		return false;
	if (type == S_IFDIR)
		return true;
	if (fabs(milliseconds(now.st_mtim) - row[MTIME]) >= TOLERANCE)
		return false;
	if (type != S_IFREG)
		return type == S_IFIFO;
	if ((double)now.st_size != row[SIZE] || nanoseconds(now.st_ctim) > block->recorded)
		return false;
	return further == NULL || (look(block, further, &other) == 0 && other.st_ino == now.st_ino &&
				   other.st_dev == now.st_dev);
}

static bool is_directory(struct block *block)
{
	struct stat now;

	return look(block, take_name(block), &now) == 0 && S_ISDIR(now.st_mode);
}

static bool is_absent(struct block *block)
{
	struct stat now;

	return look(block, take_name(block), &now) < 0 && errno == ENOENT;
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static bool read_names(int fd, char ***names, size_t *count)
{
	DIR *directory = fdopendir(fd);
	size_t room = 0;

	if (directory == NULL) {
		close(fd);
		return false;
	}
	errno = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (*count == room) {
			room = room == 0 ? 64 : room * 2;
			*names = realloc(*names, room * sizeof(**names));
			if (*names == NULL)
				die("out of memory");
		}
		(*names)[*count] = strdup(entry->d_name);
		if ((*names)[(*count)++] == NULL)
			die("out of memory");
	}
	bool is_read = errno == 0;
	closedir(directory);
	return is_read;
}

/* Reads a directory, its names in byte order, and an empty string. */
static bool has_names(struct block *block)
{
	const char *path = take_name(block);
	char **names = NULL;
	size_t count = 0, place = 0;
	int fd = openat(block->root, *path == '\0' ? "." : path,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	bool is_same = fd >= 0 && read_names(fd, &names, &count);

	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	for (const char *name; *(name = take_name(block)) != '\0'; place++)
		is_same = is_same && place < count && strcmp(names[place], name) == 0;
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return is_same && place == count;
}

static bool holds(struct block *block, uint32_t index)
{
	double row[ROW];

	if (block->rows != NULL)
		memcpy(row, block->rows + (size_t)index * sizeof(row), sizeof(row));
	switch (block->type) {
	case HOST_FILES:
	case STAMPS:
		return is_host_file(block, row);
	case JAIL_ENTRIES:
		return is_jail_entry(block, row);
	case DIRECTORIES:
		return is_directory(block);
	case ABSENT:
		return is_absent(block);
	case LISTS:
		return has_names(block);
	default:
		return false;
	}
}

bool check_block(int root, const struct operation *operation)
{
	struct block block = {
		.root = root,
		.recorded = operation->size,
	};
	const uint8_t *bytes = operation->content;
	size_t length = operation->content_length;

	if (length < 2 * sizeof(uint32_t))
		return false;
	memcpy(&block.type, bytes, sizeof(block.type));
	memcpy(&block.count, bytes + sizeof(block.type), sizeof(block.count));
	size_t at = 2 * sizeof(uint32_t);
	if (block.type == HOST_FILES || block.type == JAIL_ENTRIES || block.type == STAMPS) {
		size_t size = (size_t)block.count * ROW * sizeof(double);
		if (size > length - at)
			return false;
		block.rows = bytes + at;
		at += size;
	}
	block.at = (const char *)bytes + at;
	block.end = (const char *)bytes + length;
	for (uint32_t index = 0; index < block.count; index++) {
		if (!holds(&block, index) || block.damaged)
			return false;
	}
	return true;
}
