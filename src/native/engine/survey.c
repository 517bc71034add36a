#define _GNU_SOURCE
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A directory's entries are listed in pieces: the number of entries in four bytes, a row for each, and their names, each
 * with a NUL. src/jail/engine/source-survey.ts reads them. A row:
 *
 *     mode:4 uid:4 gid:4 start:4 size:8 mtime:8 ctime:8 mtime-ns:4 ctime-ns:4 device:8 inode:8 started:4
 *
 * `start` is the first bytes of a regular file, of which there are `started`, or NOT_READ.
 */
enum { ROW = 68, NOT_READ = 255 };
/* Sizes of a piece's parts: several pieces fit into the client's buffer. */
enum { MAX_ROWS = 256, NAMES_SIZE = 1 << 14 };

struct piece {
	uint32_t count;
	size_t names_length;
	uint8_t rows[MAX_ROWS * ROW];
	char names[NAMES_SIZE];
};

static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*at++ = (uint8_t)(value >> (8 * i));
	return at;
}

static void reply_piece(struct worker *worker, struct piece *piece)
{
	size_t rows = (size_t)piece->count * ROW;

	if (piece->count == 0)
		return;
	uint8_t *at = put(worker->buffer, piece->count, 4);
	memcpy(at, piece->rows, rows);
	memcpy(at + rows, piece->names, piece->names_length);
	reply_data(worker, worker->buffer, 4 + rows + piece->names_length);
	piece->count = 0;
	piece->names_length = 0;
}

/* Returns the number of bytes read. What has become something else meanwhile must neither be followed nor waited for. */
static uint32_t read_start(int directory, const char *name, uint8_t *start)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return NOT_READ;
	ssize_t count = pread(fd, start, 4, 0);
	close(fd);
	return count < 0 ? NOT_READ : (uint32_t)count;
}

static void add_entry(struct piece *piece, int directory, const char *name, const struct stat *stat)
{
	uint8_t start[4] = { 0 };
	uint32_t started = 0;
	size_t length = strlen(name) + 1;

	if (S_ISREG(stat->st_mode) && stat->st_size > 0)
		started = read_start(directory, name, start);
	uint8_t *at = piece->rows + (size_t)piece->count * ROW;
	at = put(at, stat->st_mode, 4);
	at = put(at, stat->st_uid, 4);
	at = put(at, stat->st_gid, 4);
	memcpy(at, start, sizeof(start));
	at = put(at + sizeof(start), (uint64_t)stat->st_size, 8);
	at = put(at, (uint64_t)stat->st_mtim.tv_sec, 8);
	at = put(at, (uint64_t)stat->st_ctim.tv_sec, 8);
	at = put(at, (uint64_t)stat->st_mtim.tv_nsec, 4);
	at = put(at, (uint64_t)stat->st_ctim.tv_nsec, 4);
	at = put(at, stat->st_dev, 8);
	at = put(at, stat->st_ino, 8);
	put(at, started, 4);
	memcpy(piece->names + piece->names_length, name, length);
	piece->names_length += length;
	piece->count++;
}

/* Replies with the entries of an open directory; fails if one of them is gone meanwhile. */
static int list_entries(struct worker *worker, DIR *directory)
{
	struct piece *piece = malloc(sizeof(*piece));

	if (piece == NULL)
		die("out of memory");
	piece->count = 0;
	piece->names_length = 0;
	errno = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL; errno = 0) {
		struct stat stat;
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(dirfd(directory), name, &stat, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
			break;
		if (piece->count == MAX_ROWS || piece->names_length + strlen(name) + 1 > NAMES_SIZE)
			reply_piece(worker, piece);
		add_entry(piece, dirfd(directory), name, &stat);
	}
	int error = errno;
	if (error == 0)
		reply_piece(worker, piece);
	free(piece);
	errno = error;
	return error == 0 ? 0 : -1;
}

int survey_directory(struct worker *worker, const char *path)
{
	int fd = open_source(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	if (fd < 0)
		return -1;
	DIR *directory = fdopendir(fd);
	if (directory == NULL) {
		close(fd);
		return -1;
	}
	int result = list_entries(worker, directory);
	int error = errno;
	closedir(directory);
	errno = error;
	return result;
}
