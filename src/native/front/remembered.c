#define _GNU_SOURCE
#include "run.h"
#include "stored.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The launcher's arguments depend on the command line and on the jail's record. Node, which reads the record, stores what
 * it says of every run for root (cli/remembered-launch.ts), outside the jail, since root inside could otherwise choose
 * its own rights. It is valid as long as the record is the same file.
 */
#define DIRECTORY "/var/cache/jailbuild/launch"
#define SCHEMA "jailbuild.launch/2"
#define MAX_SIZE (1 << 16)

static bool is_roots(const struct stat *stat)
{
	return stat->st_uid == 0 && (stat->st_mode & 022) == 0;
}

static bool is_roots_directory(int at, const char *path)
{
	struct stat stat;

	return fstatat(at, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode) &&
	       is_roots(&stat);
}

/* FNV-1a, for the file's name; its content identifies the root. */
static uint64_t hash_path(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (; *path != '\0'; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3U;
	return hash;
}

/* Writes the stamp of the record; returns false if there is none or root does not trust it. */
static bool stamp_record(const char *root, char text[STAMP_SIZE])
{
	struct stat stat;
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool good = false;

	if (fd < 0)
		return false;
	if (is_roots_directory(fd, ".jailbuild") &&
	    fstatat(fd, ".jailbuild/record.json", &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(stat.st_mode) && is_roots(&stat)) {
		write_stamp(text, &stat);
		good = true;
	}
	close(fd);
	return good;
}

/* Maps the file of a root. Only root runs this, so that nobody else can have written it. */
static bool read_fields(const char *root, struct fields *fields)
{
	char name[17];
	struct stat stat;
	int directory = open_safe_directory(DIRECTORY);

	if (directory < 0)
		return false;
	snprintf(name, sizeof(name), "%016llx", (unsigned long long)hash_path(root));
	bool good = map_file(directory, name, fields, &stat);
	close(directory);
	return good;
}

/* Returns whether the stored arguments belong to this program, this root and its current record. */
static bool are_current(const struct start *start, const char *root, struct fields *fields)
{
	char stamp[STAMP_SIZE];

	return are_of_program(start, fields, SCHEMA) && next_is(fields, root) &&
	       stamp_record(root, stamp) && next_is(fields, stamp);
}

static bool take_list(struct fields *fields, struct list *list)
{
	return take_number(fields, MAX_SIZE, &list->count) && take_items(fields, list->count, &list->items);
}

static bool take_parts(struct fields *fields, struct defaults *defaults)
{
	if (!take_number(fields, MAX_SIZE, &defaults->part_count))
		return false;
	defaults->parts = calloc(defaults->part_count + 1, sizeof(*defaults->parts));
	for (size_t i = 0; defaults->parts != NULL && i < defaults->part_count; i++) {
		struct part *part = &defaults->parts[i];
		part->name = next_field(fields);
		if (part->name == NULL || !take_number(fields, MAX_SIZE, &part->count) ||
		    !take_items(fields, part->count, &part->words))
			return false;
	}
	return defaults->parts != NULL;
}

static size_t count_fields(const struct fields *fields)
{
	size_t count = 0;

	for (const char *at = fields->at; at < fields->end; at++)
		count += *at == '\0';
	return count;
}

bool read_defaults(const struct start *start, const char *root, struct defaults *defaults)
{
	struct fields fields;
	size_t size;

	if (!read_fields(root, &fields) || !are_current(start, root, &fields) ||
	    !take_number(&fields, MAX_SIZE, &size) || size != (size_t)(fields.end - fields.at))
		return false;
	if (!take_parts(&fields, defaults) || !take_list(&fields, &defaults->common) ||
	    !take_list(&fields, &defaults->own))
		return false;
	defaults->command.count = count_fields(&fields);
	return take_items(&fields, defaults->command.count, &defaults->command.items);
}
