#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* FICLONE from linux/fs.h, which musl's compiler does not find: _IOW(0x94, 9, int). */
#define CLONE_FILE 0x40049409

/* The last device whose files could not be cloned to the jail's file system. */
static _Atomic uint64_t no_clones_from = UINT64_MAX;

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Shares the source's blocks if the file system supports it (ioctl_ficlone(2)). */
static bool clone_file(int from, int to, dev_t device)
{
	if (atomic_load_explicit(&no_clones_from, memory_order_relaxed) == device)
		return false;
	if (ioctl(to, CLONE_FILE, from) == 0)
		return true;
	if (errno == EXDEV || errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS)
		atomic_store_explicit(&no_clones_from, device, memory_order_relaxed);
	return false;
}

int write_all(int fd, const uint8_t *bytes, size_t length, off_t offset)
{
	while (length > 0) {
		ssize_t count = pwrite(fd, bytes, length, offset);
		if (count < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		bytes += count;
		length -= (size_t)count;
		offset += count;
	}
	return 0;
}

int close_written(int fd)
{
	/* The descriptor is closed whatever close(2) returns; an interruption is not a failure. */
	return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

/* Copies through a buffer where copy_file_range(2) does not work. */
static enum outcome copy_through_buffer(struct worker *worker, int from, int to, off_t start, off_t end,
					off_t offset)
{
	while (start < end) {
		size_t wanted = sizeof(worker->buffer);
		if ((off_t)wanted > end - start)
			wanted = (size_t)(end - start);
		ssize_t count = pread(from, worker->buffer, wanted, start);
		if (count < 0) {
			if (errno == EINTR)
				continue;
			return FAILED_AT_SOURCE;
		}
		if (count == 0)
			return SOURCE_CHANGED;
		if (write_all(to, worker->buffer, (size_t)count, offset) < 0)
			return FAILED_IN_JAIL;
		start += count;
		offset += count;
	}
	return DONE;
}

static bool is_full(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}

/* Copies between file systems, from page to page without a buffer. No other thread uses the position of `to`. */
static enum outcome copy_pages(struct worker *worker, int from, int to, off_t start, off_t end, off_t offset)
{
	if (lseek(to, offset, SEEK_SET) < 0)
		return copy_through_buffer(worker, from, to, start, end, offset);
	while (start < end) {
		off_t in = start;
		ssize_t count = sendfile(to, from, &in, (size_t)(end - start));
		if (count > 0) {
			start += count;
			offset += count;
			continue;
		}
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && is_full())
			return FAILED_IN_JAIL;
		/* The file systems cannot do it, or an error whose side the plain calls can tell. */
		return copy_through_buffer(worker, from, to, start, end, offset);
	}
	return DONE;
}

enum outcome copy_range(struct worker *worker, int from, int to, off_t start, off_t end, off_t offset)
{
	/* For content that fits into the buffer, two plain calls are cheaper. */
	if (end - start <= (off_t)sizeof(worker->buffer))
		return copy_through_buffer(worker, from, to, start, end, offset);
	while (start < end) {
		off_t in = start, out = offset;
		ssize_t count = copy_file_range(from, &in, to, &out, (size_t)(end - start), 0);
		if (count > 0) {
			start = in;
			offset = out;
			continue;
		}
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && is_full())
			return FAILED_IN_JAIL;
		/* Another file system, or an old kernel. */
		return copy_pages(worker, from, to, start, end, offset);
	}
	return DONE;
}

/* Copies data only, so that holes stay holes (lseek(2)). */
static enum outcome copy_data(struct worker *worker, int from, int to, const struct stat *stat)
{
	off_t size = stat->st_size;

	if ((off_t)stat->st_blocks * 512 >= size)
		return copy_range(worker, from, to, 0, size, 0);
	for (off_t at = 0, end; find_data(from, &at, &end, size); at = end) {
		enum outcome outcome = copy_range(worker, from, to, at, end, at);
		if (outcome != DONE)
			return outcome;
	}
	return ftruncate(to, size) < 0 ? FAILED_IN_JAIL : DONE;
}

ssize_t read_up_to(int fd, uint8_t *bytes, size_t length, off_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = pread(fd, bytes + done, length - done, offset + (off_t)done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

static bool same_content(struct worker *worker, int from, int to, off_t size)
{
	size_t half = sizeof(worker->buffer) / 2;
	uint8_t *one = worker->buffer, *other = one + half;

	for (off_t at = 0; at < size;) {
		size_t length = size - at < (off_t)half ? (size_t)(size - at) : half;
		if (read_up_to(from, one, length, at) != (ssize_t)length ||
		    read_up_to(to, other, length, at) != (ssize_t)length ||
		    memcmp(one, other, length) != 0)
			return false;
		at += (off_t)length;
	}
	return true;
}

/* Hard-links the source into the jail, by its descriptor, so that it is the file that was checked. */
static bool link_source(int from, int parent, const char *name)
{
	char self[32];

	if (linkat(from, "", parent, name, AT_EMPTY_PATH) == 0)
		return true;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", from);
	return linkat(AT_FDCWD, self, parent, name, AT_SYMLINK_FOLLOW) == 0;
}

static enum outcome copy_opened(struct worker *worker, int from, const struct operation *operation)
{
	struct stat before, after;
	const char *name;

	if (fstat(from, &before) < 0)
		return FAILED_AT_SOURCE;
	if (!S_ISREG(before.st_mode) || (uint64_t)before.st_size != operation->size ||
	    !same_time(before.st_mtim, operation->source_mtime))
		return SOURCE_CHANGED;
	int parent = open_parent(worker, operation->path, &name);
	if (parent < 0)
		return FAILED_IN_JAIL;
	if (operation->flag && link_source(from, parent, name)) {
		tell_capability(worker, from);
		return DONE;
	}
	int to = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return FAILED_IN_JAIL;
	enum outcome outcome = DONE;
	if (before.st_size > 0 && !clone_file(from, to, before.st_dev))
		outcome = copy_data(worker, from, to, &before);
	if (outcome == DONE && fstat(from, &after) < 0)
		outcome = FAILED_AT_SOURCE;
	if (outcome == DONE && (after.st_size != before.st_size ||
				!same_time(after.st_mtim, before.st_mtim)))
		outcome = SOURCE_CHANGED;
	/* A new hard link also changes the inode's change time, but not the copied content. */
	if (outcome == DONE && !same_time(after.st_ctim, before.st_ctim) &&
	    !same_content(worker, from, to, before.st_size))
		outcome = SOURCE_CHANGED;
	int error = errno;
	if (outcome == DONE)
		set_attributes(worker, to, &operation->attributes, from);
	/* Starts writing to disk while other files are copied and the jail is verified, so that syncfs(2) waits less. */
	if (outcome == DONE && operation->write_back)
		sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (close_written(to) < 0 && outcome == DONE) {
		error = errno;
		outcome = FAILED_IN_JAIL;
	}
	errno = error;
	return outcome;
}

enum outcome copy_file(struct worker *worker, const struct operation *operation)
{
	/* Do not wait for a writer if the file has become a fifo. */
	int from = open_source(operation->to, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (from < 0)
		return errno == ELOOP || errno == ENOTDIR || errno == ENOENT ? SOURCE_CHANGED :
									       FAILED_AT_SOURCE;
	enum outcome outcome = copy_opened(worker, from, operation);
	int error = errno;
	close(from);
	errno = error;
	return outcome;
}
