#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Bytes to copy before looking whether the job has been stopped. */
#define PART (16 << 20)

/*
 * Opens the output, and keeps it open for the other operations of the job. The client has created it; if its name now
 * leads to another file, others can write to its directory, and nothing is written.
 */
static int open_output(struct worker *worker, const struct operation *operation)
{
	struct stat stat;
	const char *name;

	if (worker->output_fd >= 0 && worker->output_device == operation->device &&
	    worker->output_inode == operation->inode)
		return worker->output_fd;
	forget_files(worker);
	int parent = open_parent(worker, operation->path, &name);
	if (parent < 0)
		return -1;
	int fd = openat(parent, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_dev != operation->device ||
	    stat.st_ino != operation->inode) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	worker->output_fd = fd;
	worker->output_device = operation->device;
	worker->output_inode = operation->inode;
	return fd;
}

/* For what fits into the buffer with the bytes before it, one write is cheaper. */
static enum outcome place_small(struct worker *worker, int from, int to, const struct operation *operation)
{
	size_t before = operation->content_length, size = (size_t)operation->size;

	memcpy(worker->buffer, operation->content, before);
	ssize_t count = read_up_to(from, worker->buffer + before, size, 0);
	if (count < 0)
		return FAILED_AT_SOURCE;
	if ((size_t)count < size)
		return SOURCE_CHANGED;
	return write_all(to, worker->buffer, before + size, (off_t)operation->offset) < 0 ? FAILED_IN_JAIL :
											    DONE;
}

/* Copies in parts, after each of which a signal can end the job. */
static enum outcome place_data(struct worker *worker, int from, int to, off_t start, off_t end, off_t offset)
{
	while (start < end) {
		off_t part = end - start < PART ? end : start + PART;
		if (is_stopped(worker)) {
			errno = ECANCELED;
			return FAILED_IN_JAIL;
		}
		enum outcome outcome = copy_range(worker, from, to, start, part, offset + start);
		if (outcome != DONE)
			return outcome;
		start = part;
	}
	return DONE;
}

/* Leaves holes out. The next operation writes beyond them. */
static enum outcome place_sparse(struct worker *worker, int from, int to, off_t size, off_t offset)
{
	for (off_t at = 0, end; find_data(from, &at, &end, size); at = end) {
		enum outcome outcome = place_data(worker, from, to, at, end, offset);
		if (outcome != DONE)
			return outcome;
	}
	return DONE;
}

static enum outcome place_content(struct worker *worker, int from, int to, const struct operation *operation,
				  const struct stat *stat)
{
	off_t offset = (off_t)(operation->offset + operation->content_length);

	if (operation->content_length + operation->size <= sizeof(worker->buffer))
		return place_small(worker, from, to, operation);
	if (write_all(to, operation->content, operation->content_length, (off_t)operation->offset) < 0)
		return FAILED_IN_JAIL;
	if ((off_t)stat->st_blocks * 512 < stat->st_size)
		return place_sparse(worker, from, to, stat->st_size, offset);
	return place_data(worker, from, to, 0, stat->st_size, offset);
}

/* A source that is written to meanwhile would be partly its old and partly its new content. */
static enum outcome place_opened(struct worker *worker, int from, int to, const struct operation *operation)
{
	struct stat before, after;

	if (fstat(from, &before) < 0)
		return FAILED_AT_SOURCE;
	if (!S_ISREG(before.st_mode) || (uint64_t)before.st_size != operation->size)
		return SOURCE_CHANGED;
	enum outcome outcome = place_content(worker, from, to, operation, &before);
	if (outcome != DONE)
		return outcome;
	if (fstat(from, &after) < 0)
		return FAILED_AT_SOURCE;
	bool same = after.st_size == before.st_size && after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		    after.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
	return same ? DONE : SOURCE_CHANGED;
}

static enum outcome place_source(struct worker *worker, int to, const struct operation *operation)
{
	/* Do not wait for a writer if the file has become a fifo. */
	int from = open_source(operation->to, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (from < 0)
		return errno == ELOOP || errno == ENOTDIR ? SOURCE_CHANGED : FAILED_AT_SOURCE;
	enum outcome outcome = place_opened(worker, from, to, operation);
	int error = errno;
	close(from);
	errno = error;
	return outcome;
}

enum outcome place(struct worker *worker, const struct operation *operation)
{
	int to = open_output(worker, operation);

	if (to < 0)
		return FAILED_IN_JAIL;
	if (operation->flag)
		return place_source(worker, to, operation);
	int result = write_all(to, operation->content, operation->content_length, (off_t)operation->offset);
	return result < 0 ? FAILED_IN_JAIL : DONE;
}
