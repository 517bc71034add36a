/* Parsers of values, which set the member named by the option's row in options.h. */
#define _GNU_SOURCE
#include "option_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die_of(const struct row *row, const char *value)
{
	char message[160];
	bool named = row->name != NULL;
	snprintf(message, sizeof(message), "%s%.*s takes %s, not", named ? "--" : "-", named ? 40 : 1,
		 named ? row->name : &row->letter, row->argument);
	die(message, value);
}

long long parse_number(const char *text, int base)
{
	char *end;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long number = strtoll(text, &end, base);
	return errno != 0 || *end != '\0' ? -1 : number;
}

static void *place_of(struct options *options, const struct row *row)
{
	return (char *)options + row->place;
}

void parse_flag(struct options *options, const struct row *row, const char *value)
{
	(void)value;
	*(bool *)place_of(options, row) = true;
}

void parse_text(struct options *options, const struct row *row, const char *value)
{
	*(const char **)place_of(options, row) = value;
}

void parse_number_text(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(value, 10) < 0)
		die_of(row, value);
	parse_text(options, row, value);
}

/* An offset may be negative (time_namespaces(7)). */
void parse_offset(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(*value == '-' ? value + 1 : value, 10) < 0)
		die_of(row, value);
	parse_text(options, row, value);
}

void parse_item(struct options *options, const struct row *row, const char *value)
{
	struct list *list = place_of(options, row);
	list->items = grown(list->items, list->count, sizeof(char *));
	list->items[list->count++] = value;
}

void parse_hostname(struct options *options, const struct row *row, const char *value)
{
	/* The kernel's __NEW_UTS_LEN. */
	if (strlen(value) > 64)
		die("the host name is longer than 64 bytes", value);
	for (const char *byte = value; *byte != '\0'; byte++) {
		if ((unsigned char)*byte < ' ' || *byte == 127)
			die("the host name has a control character", NULL);
	}
	options->new_uts = true;
	parse_text(options, row, value);
}

void parse_ipc(struct options *options, const struct row *row, const char *value)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		die_of(row, value);
	options->new_ipc = strcmp(value, "yes") == 0;
	options->show_queue = true;
}

void add_descriptor(struct descriptors *list, int fd)
{
	list->items = grown(list->items, list->count, sizeof(int));
	list->items[list->count++] = fd;
}

int parse_descriptor(struct options *options, const struct row *row, const char *value)
{
	long long fd = parse_number(value, 10);
	if (fd < 0 || fd > INT_MAX || fcntl((int)fd, F_GETFD) < 0)
		die_of(row, value);
	add_descriptor(&options->named, (int)fd);
	return (int)fd;
}

void parse_fd(struct options *options, const struct row *row, const char *value)
{
	*(int *)place_of(options, row) = parse_descriptor(options, row, value);
}

/* A fifo is opened for reading and writing, so that open(2) does not wait for the other end. */
void parse_block(struct options *options, const struct row *row, const char *value)
{
	if (*value != '/') {
		parse_fd(options, row, value);
		return;
	}
	options->block_fd = open(value, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (options->block_fd < 0)
		die_errno("open the fifo", value);
	add_descriptor(&options->named, options->block_fd);
}

void parse_passed(struct options *options, const struct row *row, const char *value)
{
	add_descriptor(&options->passed, parse_descriptor(options, row, value));
}

void parse_observed(struct options *options, const struct row *row, const char *value)
{
	parse_flag(options, row, value);
	add_descriptor(&options->named, OBSERVER);
}

void parse_try(struct options *options, const struct row *row, const char *value)
{
	options->try_user = strcmp(value, "user") == 0 || strcmp(value, "user,cgroup") == 0;
	options->try_cgroup = strcmp(value, "cgroup") == 0 || strcmp(value, "user,cgroup") == 0;
	if (!options->try_user && !options->try_cgroup)
		die_of(row, value);
}

void parse_held(struct options *options, const struct row *row, const char *value)
{
	add_descriptor(&options->held, parse_descriptor(options, row, value));
}

/* From 3 on, as in sd_listen_fds(3) and podman. */
void parse_passed_count(struct options *options, const struct row *row, const char *value)
{
	char fd[16];
	long long count = parse_number(value, 10);
	if (count < 0 || count > 1 << 20)
		die_of(row, value);
	for (int i = 0; i < (int)count; i++) {
		snprintf(fd, sizeof(fd), "%d", 3 + i);
		parse_passed(options, row, fd);
	}
	*(const char **)place_of(options, row) = value;
}

void parse_kept_caps(struct options *options, const struct row *row, const char *value)
{
	(void)row;
	options->limit_caps = true;
	options->caps = parse_caps(value);
}

void parse_ambient(struct options *options, const struct row *row, const char *value)
{
	(void)row;
	options->ambient = parse_caps(value);
}

void parse_umask(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(value, 8) < 0 || parse_number(value, 8) > 0777)
		die_of(row, value);
	parse_text(options, row, value);
}

void parse_variable(struct options *options, const struct row *row, const char *value)
{
	if (*value == '=' || *value == '\0')
		die_of(row, value);
	/* Taken from the environment, so that process lists do not show the value. */
	if (strchr(value, '=') == NULL) {
		char **own = environ;
		size_t length = strlen(value);
		while (*own != NULL && (strncmp(*own, value, length) != 0 || (*own)[length] != '='))
			own++;
		if (*own == NULL)
			return;
		value = *own;
	}
	options->env = grown(options->env, options->env_count, sizeof(char *));
	options->env[options->env_count++] = (char *)value;
}
