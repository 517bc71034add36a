#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS_ACL "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"
#define CAPABILITY "security.capability"
/* Maximum size of a value and of a list of names (xattr(7)). */
#define MAX_XATTRS (1 << 16)

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * Returns whether an attribute is copied with its file. Labels are set by the destination's policy, EVM signatures are
 * bound to one inode, and others are specific to their file system.
 */
static bool is_copied(const char *name)
{
	if (begins_with(name, "user."))
		return true;
	if (begins_with(name, "security."))
		return strcmp(name, "security.selinux") != 0 && strcmp(name, "security.evm") != 0;
	if (begins_with(name, "trusted."))
		return !begins_with(name, "trusted.overlay.");
	return strcmp(name, ACCESS_ACL) == 0 || strcmp(name, DEFAULT_ACL) == 0;
}

static void set_xattr(struct worker *worker, int fd, const char *name, const void *value, size_t length)
{
	if (fsetxattr(fd, name, value, length, 0) < 0)
		reply_warning(worker, name, errno);
}

/* Replies with name, NUL, length in four bytes, value for each attribute that goes with a file. */
static int reply_xattrs(struct worker *worker, int fd)
{
	/* Most files have none, and so large a buffer is memory of its own: two system calls to get, two to return. */
	ssize_t length = flistxattr(fd, NULL, 0);

	if (length <= 0)
		return length < 0 && errno != EOPNOTSUPP ? -1 : 0;
	char *names = malloc(MAX_XATTRS);
	uint8_t *reply = malloc(MAX_XATTRS * 4);
	size_t filled = 0;

	if (names == NULL || reply == NULL)
		die("out of memory");
	length = flistxattr(fd, names, MAX_XATTRS);
	int result = length < 0 && errno != EOPNOTSUPP ? -1 : 0;
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;
		size_t name_length = strlen(name) + 1;
		if (!is_copied(name))
			continue;
		ssize_t size = fgetxattr(fd, name, worker->buffer, sizeof(worker->buffer));
		if (size < 0)
			continue;
		if (filled + name_length + 4 + (size_t)size > MAX_XATTRS * 4)
			break;
		memcpy(reply + filled, name, name_length);
		filled += name_length;
		for (int shift = 0; shift < 32; shift += 8)
			reply[filled++] = (uint8_t)((uint32_t)size >> shift);
		memcpy(reply + filled, worker->buffer, (size_t)size);
		filled += (size_t)size;
	}
	if (filled > 0)
		reply_data(worker, reply, filled);
	free(names);
	free(reply);
	return result;
}

int list_xattrs(struct worker *worker, const char *source)
{
	int fd = open_source(source, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	int result = reply_xattrs(worker, fd);
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

void tell_capability(struct worker *worker, int fd)
{
	if (fgetxattr(fd, CAPABILITY, NULL, 0) > 0)
		reply_xattrs(worker, fd);
}

static void copy_xattrs(struct worker *worker, int fd, int like)
{
	char names[1024];
	char *list = names;
	ssize_t length = flistxattr(like, names, sizeof(names));
	bool has_capability = false;

	if (length < 0 && errno == ERANGE) {
		list = malloc(MAX_XATTRS);
		length = list == NULL ? -1 : flistxattr(like, list, MAX_XATTRS);
	}
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1) {
		const char *name = list + at;
		if (!is_copied(name))
			continue;
		ssize_t size = fgetxattr(like, name, worker->buffer, sizeof(worker->buffer));
		if (size < 0)
			reply_warning(worker, name, errno);
		else
			set_xattr(worker, fd, name, worker->buffer, (size_t)size);
		has_capability = has_capability || strcmp(name, CAPABILITY) == 0;
	}
	if (list != names)
		free(list);
	/* The record lists attributes only of programs with capabilities. */
	if (has_capability)
		reply_xattrs(worker, like);
}

static void set_planned_xattrs(struct worker *worker, int fd, const struct attributes *attributes)
{
	for (uint32_t i = 0; i < attributes->xattr_count; i++) {
		const struct xattr *xattr = &attributes->xattrs[i];
		set_xattr(worker, fd, xattr->name, xattr->value, xattr->length);
	}
}

/*
 * Sets the owner first, since chown(2) clears set-id bits and capabilities; then the mode, which an ACL refines; times
 * last.
 */
void set_attributes(struct worker *worker, int fd, const struct attributes *attributes, int like)
{
	struct timespec times[2] = { attributes->mtime, attributes->mtime };

	if (attributes->has_owner && fchown(fd, attributes->uid, attributes->gid) < 0)
		reply_warning(worker, "owner", errno);
	if (fchmod(fd, attributes->mode) < 0)
		reply_warning(worker, "mode", errno);
	if (attributes->has_xattrs)
		set_planned_xattrs(worker, fd, attributes);
	else if (attributes->like != NULL && like >= 0)
		copy_xattrs(worker, fd, like);
	if (futimens(fd, times) < 0)
		reply_warning(worker, "mtime", errno);
}

void set_directory_attributes(struct worker *worker, int fd, const struct attributes *attributes)
{
	int like = -1;

	if (attributes->like != NULL && !attributes->has_xattrs)
		like = open_source(attributes->like, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	set_attributes(worker, fd, attributes, like);
	if (like >= 0)
		close(like);
}

static void set_owner_and_time(struct worker *worker, int directory, const char *name,
			       const struct attributes *attributes)
{
	struct timespec times[2] = { attributes->mtime, attributes->mtime };

	if (attributes->has_owner &&
	    fchownat(directory, name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW) < 0)
		reply_warning(worker, "owner", errno);
	if (utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		reply_warning(worker, "mtime", errno);
}

/* A link's own attributes can be set by name only, relative to a working directory private to this thread. */
void set_link_attributes(struct worker *worker, int directory, const char *name,
			 const struct attributes *attributes)
{
	const char *unset = NULL;

	if (attributes->xattr_count > 0 && !(worker->own_cwd && fchdir(directory) == 0))
		unset = attributes->xattrs[0].name;
	for (uint32_t i = 0; unset == NULL && i < attributes->xattr_count; i++) {
		const struct xattr *xattr = &attributes->xattrs[i];
		if (lsetxattr(name, xattr->name, xattr->value, xattr->length, 0) < 0)
			reply_warning(worker, xattr->name, errno);
	}
	if (unset != NULL)
		reply_warning(worker, unset, EOPNOTSUPP);
	set_owner_and_time(worker, directory, name, attributes);
}

/* The node is in a directory that no one else can enter, so no link can replace it. */
void set_node_attributes(struct worker *worker, int directory, const char *name,
			 const struct attributes *attributes)
{
	set_owner_and_time(worker, directory, name, attributes);
	if (fchmodat(directory, name, attributes->mode, 0) < 0)
		reply_warning(worker, "mode", errno);
}

/* Default ACLs of a parent directory would otherwise be inherited by everything made below. */
void remove_acls(int fd)
{
	fremovexattr(fd, DEFAULT_ACL);
	fremovexattr(fd, ACCESS_ACL);
}
