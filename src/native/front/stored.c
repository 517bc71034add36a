#define _GNU_SOURCE
#include "stored.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A table for each byte of a word, so that the steps for its bytes do not wait for one another. */
static uint32_t tables[8][256];

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++)
			value = (value >> 1) ^ (value & 1 ? 0xedb88320U : 0);
		tables[0][i] = value;
	}
	for (int t = 1; t < 8; t++) {
		for (uint32_t i = 0; i < 256; i++)
			tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
	}
}

uint32_t checksum_of(uint32_t before, const char *at, const char *end)
{
	uint32_t checksum = ~before, low, high;

	if (tables[0][1] == 0)
		make_tables();
	for (; end - at >= 8; at += 8) {
		memcpy(&low, at, sizeof(low));
		memcpy(&high, at + sizeof(low), sizeof(high));
		low ^= checksum;
		checksum = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^
			   tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24] ^ tables[3][high & 0xff] ^
			   tables[2][high >> 8 & 0xff] ^ tables[1][high >> 16 & 0xff] ^
			   tables[0][high >> 24];
	}
	for (; at < end; at++)
		checksum = (checksum >> 8) ^ tables[0][(checksum ^ (uint8_t)*at) & 0xff];
	return ~checksum;
}

bool is_whole(struct fields *fields)
{
	size_t checksum;

	return take_number(fields, UINT32_MAX, &checksum) &&
	       checksum == checksum_of(0, fields->at, fields->end);
}

bool take_texts(struct fields *fields, const char **const texts[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		*texts[i] = next_field(fields);
		if (*texts[i] == NULL)
			return false;
	}
	return true;
}

bool take_items(struct fields *fields, size_t count, char ***items)
{
	*items = calloc(count + 1, sizeof(**items));
	for (size_t i = 0; *items != NULL && i < count; i++) {
		(*items)[i] = (char *)next_field(fields);
		if ((*items)[i] == NULL)
			return false;
	}
	return *items != NULL;
}

bool take_text(struct fields *fields, size_t length, const char **text)
{
	*text = fields->at;
	if (length > (size_t)(fields->end - fields->at))
		return false;
	fields->at += length;
	return true;
}

bool print(int fd, const char *text, size_t length, size_t *written)
{
	while (*written < length) {
		ssize_t count = write(fd, text + *written, length - *written);
		struct pollfd room = { fd, POLLOUT, 0 };
		if (count > 0)
			*written += (size_t)count;
		else if (errno == EAGAIN)
			poll(&room, 1, -1);
		else if (errno != EINTR)
			return errno == EPIPE;
	}
	return true;
}
