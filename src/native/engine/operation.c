#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Flags of renameat2(2), which musl defines only since 1.2.5. */
enum { NOREPLACE = 1, EXCHANGE = 2 };

static int call_renameat2(int from, const char *name, int to, const char *new_name, unsigned flags)
{
	return (int)syscall(SYS_renameat2, from, name, to, new_name, flags);
}

/* File systems may not support the flag; then the test and the rename are two steps. */
static int rename_to_new(int from, const char *name, int to, const char *new_name)
{
	struct stat stat;

	if (call_renameat2(from, name, to, new_name, NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(to, new_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from, name, to, new_name);
}

/* Without the flag, gives the old file a second name first and then replaces it. */
static int exchange(int from, const char *name, int to, const char *other)
{
	char old[272];

	if (call_renameat2(from, name, to, other, EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	snprintf(old, sizeof(old), "%s.old", name);
	if (linkat(to, other, from, old, 0) < 0)
		return -1;
	if (renameat(from, name, to, other) < 0) {
		int error = errno;
		unlinkat(from, old, 0);
		errno = error;
		return -1;
	}
	return renameat(from, old, from, name);
}

/* Carries out operations with two paths. Looks up the second directory anew, since a worker caches only one. */
static int with_two(struct worker *worker, const struct operation *operation)
{
	const char *name, *other;
	int first = open_parent(worker, operation->path, &name);

	if (first < 0)
		return -1;
	int from = dup(first);
	if (from < 0)
		return -1;
	int to = open_parent(worker, operation->to, &other);
	int result = -1;
	if (to >= 0) {
		switch (operation->type) {
		case OP_LINK:
			result = linkat(to, other, from, name, 0);
			break;
		case OP_RENAME:
			result = rename_to_new(from, name, to, other);
			break;
		case OP_EXCHANGE:
			result = exchange(from, name, to, other);
			break;
		default:
			result = renameat(from, name, to, other);
		}
	}
	int error = errno;
	close(from);
	if (operation->type != OP_LINK)
		forget_directory(worker);
	errno = error;
	return result;
}

static int make_directory(int parent, const char *name, bool may_exist)
{
	struct stat stat;

	if (mkdirat(parent, name, 0700) == 0)
		return 0;
	if (errno != EEXIST || !may_exist)
		return -1;
	if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	errno = ENOTDIR;
	return S_ISDIR(stat.st_mode) ? 0 : -1;
}

static int write_file(struct worker *worker, int parent, const char *name,
		      const struct operation *operation)
{
	int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	int result = write_all(fd, operation->content, operation->content_length, 0);
	int error = errno;
	if (result == 0)
		set_attributes(worker, fd, &operation->attributes, -1);
	if (close_written(fd) < 0 && result == 0)
		return -1;
	errno = error;
	return result;
}

/* Without the privilege to make devices, the rest of the jail is still built. */
static int make_node(struct worker *worker, int parent, const char *name,
		     const struct operation *operation)
{
	mode_t mode = operation->node_type | operation->attributes.mode;

	if (mknodat(parent, name, mode, makedev(operation->major, operation->minor)) < 0) {
		if (errno != EPERM && errno != EOPNOTSUPP)
			return -1;
		reply_warning(worker, "node", errno);
		return 0;
	}
	set_node_attributes(worker, parent, name, &operation->attributes);
	return 0;
}

static int close_directory(struct worker *worker, int parent, const char *name,
			   const struct operation *operation)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	set_directory_attributes(worker, fd, &operation->attributes);
	close(fd);
	return 0;
}

static int sync_directory(const char *path)
{
	int fd = *path == '\0' ? base_fd : open_beneath(base_fd, path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return -1;
	int result = fsync(fd);
	int error = errno;
	if (fd != base_fd)
		close(fd);
	errno = error;
	return result;
}

static int with_one(struct worker *worker, const struct operation *operation)
{
	const char *name;
	int parent = open_parent(worker, operation->path, &name);

	if (parent < 0)
		return -1;
	switch (operation->type) {
	case OP_MKDIR:
		return make_directory(parent, name, operation->flag);
	case OP_WRITE:
		return write_file(worker, parent, name, operation);
	case OP_NODE:
		return make_node(worker, parent, name, operation);
	case OP_SYMLINK:
		if (symlinkat(operation->to, parent, name) < 0)
			return -1;
		set_link_attributes(worker, parent, name, &operation->attributes);
		return 0;
	case OP_ATTRIBUTES:
		return close_directory(worker, parent, name, operation);
	case OP_UNLINK:
		return unlinkat(parent, name, 0);
	case OP_LOCK:
		return lock_directory(worker, parent, name, operation->flag);
	default:
		break;
	}
	/* The operation may remove the directory that the worker has cached. */
	int result;
	switch (operation->type) {
	case OP_RMDIR:
		result = unlinkat(parent, name, AT_REMOVEDIR);
		break;
	case OP_REMOVE_IF_EMPTY:
		result = unlinkat(parent, name, AT_REMOVEDIR);
		if (result < 0 && (errno == ENOTEMPTY || errno == EEXIST))
			result = 0;
		break;
	case OP_REMOVE_TREE:
		result = remove_entry(parent, name);
		break;
	default:
		result = remove_content(parent, name);
	}
	int error = errno;
	forget_directory(worker);
	errno = error;
	return result;
}

static bool is_query(const struct operation *operation)
{
	return operation->type == OP_XATTRS || operation->type == OP_EXTENTS ||
	       operation->type == OP_SURVEY;
}

static int answer(struct worker *worker, const struct operation *operation)
{
	switch (operation->type) {
	case OP_XATTRS:
		return list_xattrs(worker, operation->path);
	case OP_EXTENTS:
		return list_extents(worker, operation->path);
	default:
		return survey_directory(worker, operation->path);
	}
}

bool carry_out(struct worker *worker, const struct operation *operation)
{
	enum outcome outcome = DONE;
	int result = 0;

	errno = base_error;
	if (is_query(operation)) {
		/* An unreadable source does not keep others from being listed. */
		outcome = answer(worker, operation) == 0 ? DONE : FAILED_AT_SOURCE;
		reply_outcome(worker, outcome, errno);
		return true;
	}
	int checked = operation->flag ? base_fd : source_fd;
	if (operation->type == OP_CHECK && checked >= 0) {
		outcome = check_block(checked, operation) ? DONE : SOURCE_CHANGED;
		reply_outcome(worker, outcome, 0);
		return outcome == DONE;
	}
	if (base_fd < 0) {
		reply_outcome(worker, FAILED_IN_JAIL, errno);
		return false;
	}
	switch (operation->type) {
	case OP_COPY:
		outcome = copy_file(worker, operation);
		break;
	case OP_PLACE:
		outcome = place(worker, operation);
		break;
	case OP_LINK:
	case OP_RENAME:
	case OP_EXCHANGE:
	case OP_REPLACE:
		result = with_two(worker, operation);
		break;
	case OP_SYNC:
		result = syncfs(base_fd);
		break;
	case OP_SYNC_DIRECTORY:
		result = sync_directory(operation->path);
		break;
	default:
		result = with_one(worker, operation);
	}
	if (result < 0)
		outcome = FAILED_IN_JAIL;
	reply_outcome(worker, outcome, outcome == DONE ? 0 : errno);
	return outcome == DONE;
}
