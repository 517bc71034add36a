#define _GNU_SOURCE
#include "stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *next_field(struct fields *fields)
{
	char *field = fields->at;

	if (field >= fields->end)
		return NULL;
	fields->at = memchr(field, '\0', (size_t)(fields->end - field));
	if (fields->at == NULL)
		return NULL;
	fields->at++;
	return field;
}

bool next_is(struct fields *fields, const char *expected)
{
	const char *field = next_field(fields);

	return field != NULL && strcmp(field, expected) == 0;
}

bool take_number(struct fields *fields, size_t maximum, size_t *number)
{
	const char *text = next_field(fields);
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	*number = strtoul(text, &end, 10);
	return *end == '\0' && *number <= maximum;
}

void write_stamp(char text[STAMP_SIZE], const struct stat *stat)
{
	snprintf(text, STAMP_SIZE, "%llu:%llu:%lld:%lld%09ld:%lld%09ld",
		 (unsigned long long)stat->st_dev, (unsigned long long)stat->st_ino,
		 (long long)stat->st_size, (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec,
		 (long long)stat->st_ctim.tv_sec, stat->st_ctim.tv_nsec);
}

bool are_of_program(const struct start *start, struct fields *fields, const char *schema)
{
	char path[PATH_MAX + 16], stamp[STAMP_SIZE];
	struct stat stat_;

	snprintf(path, sizeof(path), "%s/cli.cjs", start->dist);
	if (!next_is(fields, schema) || stat(path, &stat_) < 0)
		return false;
	write_stamp(stamp, &stat_);
	return next_is(fields, path) && next_is(fields, stamp);
}
