#define _GNU_SOURCE
#include "engine.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* Where a malformed request leads; NULL if it ends the process. */
static jmp_buf *malformed;

static _Noreturn void refuse(const char *what)
{
	if (malformed != NULL)
		longjmp(*malformed, 1);
	die(what);
}

/* The unread part of a request. Numbers are little-endian. */
struct cursor {
	uint8_t *at;
	size_t left;
};

static uint8_t *take(struct cursor *cursor, size_t length)
{
	if (length > cursor->left)
		refuse("a truncated request");
	uint8_t *at = cursor->at;
	cursor->at += length;
	cursor->left -= length;
	return at;
}

static uint8_t take_byte(struct cursor *cursor)
{
	return *take(cursor, 1);
}

static uint32_t take_number(struct cursor *cursor)
{
	const uint8_t *at = take(cursor, 4);

	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t take_long(struct cursor *cursor)
{
	uint64_t low = take_number(cursor);

	return low | (uint64_t)take_number(cursor) << 32;
}

/* Reads a length, that many bytes, and a NUL. */
static const char *take_string(struct cursor *cursor)
{
	uint32_t length = take_number(cursor);
	const char *text = (const char *)take(cursor, (size_t)length + 1);

	if (strnlen(text, (size_t)length + 1) != length)
		refuse("a string with a NUL in it");
	return text;
}

/* Requires a relative path without `.`, `..` or empty components. */
static void check_path(const char *path)
{
	for (const char *name = path;; name++) {
		size_t length = strcspn(name, "/");
		bool dots = (length == 1 && name[0] == '.') ||
			    (length == 2 && name[0] == '.' && name[1] == '.');
		if (length == 0 || dots)
			refuse("a path that is absolute or not normalized");
		name += length;
		if (*name == '\0')
			return;
	}
}

static const char *take_path(struct cursor *cursor)
{
	const char *path = take_string(cursor);

	check_path(path);
	return path;
}

/* Reads a length, and strings of that length together, each with a NUL. */
static const uint8_t *take_strings(struct cursor *cursor, uint32_t *length)
{
	*length = take_number(cursor);
	const uint8_t *strings = take(cursor, *length);

	if (*length > 0 && strings[*length - 1] != '\0')
		refuse("a string without an end");
	return strings;
}

static void take_paths(struct cursor *cursor, struct operation *operation)
{
	operation->content = take_strings(cursor, &operation->content_length);
	const char *path = (const char *)operation->content, *end = path + operation->content_length;

	for (; path < end; path += strlen(path) + 1)
		check_path(path);
}

static struct timespec take_time(struct cursor *cursor)
{
	struct timespec time;

	time.tv_sec = (time_t)(int64_t)take_long(cursor);
	time.tv_nsec = (long)take_number(cursor);
	return time;
}

static void take_attributes(struct cursor *cursor, struct attributes *attributes)
{
	uint8_t flags = take_byte(cursor);

	attributes->has_owner = flags & 1;
	attributes->has_xattrs = flags & 2;
	attributes->mode = take_number(cursor);
	attributes->uid = take_number(cursor);
	attributes->gid = take_number(cursor);
	attributes->mtime = take_time(cursor);
	if (flags & 4)
		attributes->like = take_path(cursor);
	if (!attributes->has_xattrs)
		return;
	uint32_t count = take_number(cursor);
	if (count > cursor->left / 9)
		refuse("too many extended attributes");
	attributes->xattrs = calloc(count + 1, sizeof(*attributes->xattrs));
	if (attributes->xattrs == NULL)
		die("out of memory");
	attributes->xattr_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct xattr *xattr = &attributes->xattrs[i];
		xattr->name = take_string(cursor);
		xattr->length = take_number(cursor);
		xattr->value = take(cursor, xattr->length);
	}
}

static void take_operation(struct cursor *cursor, struct operation *operation)
{
	static const mode_t node_types[] = { S_IFIFO, S_IFCHR, S_IFBLK };

	operation->type = take_byte(cursor);
	uint8_t flags = take_byte(cursor);
	operation->flag = flags & 1;
	operation->write_back = flags & 2;
	switch (operation->type) {
	case OP_COPY:
		operation->path = take_path(cursor);
		operation->to = take_path(cursor);
		operation->size = take_long(cursor);
		operation->source_mtime = take_time(cursor);
		take_attributes(cursor, &operation->attributes);
		break;
	case OP_WRITE:
		operation->path = take_path(cursor);
		operation->content_length = take_number(cursor);
		operation->content = take(cursor, operation->content_length);
		take_attributes(cursor, &operation->attributes);
		break;
	case OP_CHECK:
		operation->size = take_long(cursor);
		operation->content_length = take_number(cursor);
		operation->content = take(cursor, operation->content_length);
		break;
	case OP_NODE: {
		operation->path = take_path(cursor);
		uint8_t type = take_byte(cursor);
		if (type > 2)
			refuse("an unknown type of node");
		operation->node_type = node_types[type];
		operation->major = take_number(cursor);
		operation->minor = take_number(cursor);
		take_attributes(cursor, &operation->attributes);
		break;
	}
	case OP_SYMLINK:
		operation->path = take_path(cursor);
		operation->to = take_string(cursor);
		take_attributes(cursor, &operation->attributes);
		break;
	case OP_ATTRIBUTES:
		operation->path = take_path(cursor);
		take_attributes(cursor, &operation->attributes);
		break;
	case OP_PLACE:
		operation->path = take_path(cursor);
		operation->device = take_long(cursor);
		operation->inode = take_long(cursor);
		operation->offset = take_long(cursor);
		operation->content_length = take_number(cursor);
		operation->content = take(cursor, operation->content_length);
		if (!operation->flag)
			break;
		operation->to = take_path(cursor);
		operation->size = take_long(cursor);
		break;
	case OP_LINK:
	case OP_RENAME:
	case OP_EXCHANGE:
	case OP_REPLACE:
		operation->path = take_path(cursor);
		operation->to = take_path(cursor);
		break;
	case OP_MKDIR:
	case OP_UNLINK:
	case OP_RMDIR:
	case OP_REMOVE_IF_EMPTY:
	case OP_REMOVE_TREE:
	case OP_EMPTY:
	case OP_LOCK:
	case OP_XATTRS:
	case OP_EXTENTS:
	case OP_SURVEY:
		operation->path = take_path(cursor);
		break;
	case OP_FACTS:
		take_paths(cursor, operation);
		operation->names = take_strings(cursor, &operation->names_length);
		break;
	case OP_SYNC:
		break;
	case OP_SYNC_DIRECTORY:
		/* Empty for the base itself. */
		operation->path = take_string(cursor);
		break;
	default:
		refuse("an unknown operation");
	}
}

struct job *parse_job(uint8_t *bytes, size_t length)
{
	struct cursor cursor = { bytes + 1, length - 1 };
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		die("out of memory");
	job->bytes = bytes;
	job->run = take_number(&cursor);
	job->number = take_number(&cursor);
	uint8_t flags = take_byte(&cursor);
	job->ordered = flags & 1;
	job->interruptible = flags & 2;
	job->count = take_number(&cursor);
	if (job->count > cursor.left / 2)
		refuse("too many operations");
	job->operations = calloc(job->count + 1, sizeof(*job->operations));
	if (job->operations == NULL)
		die("out of memory");
	for (uint32_t i = 0; i < job->count; i++)
		take_operation(&cursor, &job->operations[i]);
	return job;
}

struct job *parse_stored_job(uint8_t *bytes, size_t length)
{
	jmp_buf here;
	struct job *volatile job = NULL;

	malformed = &here;
	/* What a malformed job has allocated is not freed: its reader gives up. */
	if (setjmp(here) == 0)
		job = parse_job(bytes, length);
	malformed = NULL;
	return job;
}

uint32_t parse_number(const uint8_t *bytes, size_t length)
{
	uint8_t copy[4];

	if (length < sizeof(copy))
		refuse("a truncated request");
	memcpy(copy, bytes, sizeof(copy));
	struct cursor cursor = { copy, sizeof(copy) };
	return take_number(&cursor);
}

/* The strings are valid as long as the caller keeps the bytes. */
void parse_begin(uint8_t *bytes, size_t length, const char **base, const char **source_root)
{
	struct cursor cursor = { bytes, length };

	*base = take_string(&cursor);
	*source_root = take_string(&cursor);
}
