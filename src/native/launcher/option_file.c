/* Arguments or the environment from a file, each item terminated by a NUL. */
#define _GNU_SOURCE
#include "option_table.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* The arguments before the last file. */
static char **done;
static size_t done_count;

/* Keeps the arguments that getopt has processed, without the option that names the file and its separate value. */
static void keep_done(char **argv, const char *path)
{
	int last = optind - (argv[optind - 1] == path ? 2 : 1);
	for (int index = 1; index < last; index++) {
		done = grown(done, done_count, sizeof(char *));
		done[done_count++] = argv[index];
	}
}

char **whole_list(int argc, char **argv)
{
	char **all = allocate((done_count + (size_t)argc + 1) * sizeof(char *));
	size_t count = 0;

	all[count++] = argv[0];
	for (size_t index = 0; index < done_count; index++)
		all[count++] = done[index];
	for (int index = 1; index < argc; index++)
		all[count++] = argv[index];
	all[count] = NULL;
	return all;
}

/* Reads fields that each end with a NUL, and adds them to a list. */
static char **read_fields(struct options *options, const struct row *row, const char *path, char **list, size_t *count)
{
	bool is_number = parse_number(path, 10) >= 0;
	scoped_fd fd = is_number ? parse_descriptor(options, row, path) : open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t size = 0;

	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "r");
	if (file == NULL)
		die_errno(options->args != NULL ? "open the arguments" : "open the environment", path);
	while (getdelim(&text, &size, '\0', file) > 0) {
		list = grown(list, *count, sizeof(char *));
		list[(*count)++] = copy_of(text);
	}
	if (ferror(file))
		die_errno(options->args != NULL ? "read the arguments" : "read the environment", path);
	free(text);
	fclose(file);
	return list;
}

char **splice_arguments(struct options *options, const struct row *row, int *argc, char **argv)
{
	const char *path = options->args != NULL ? options->args : options->own_environment;
	char **all = grown(NULL, 0, sizeof(char *));
	size_t count = 0;

	keep_done(argv, path);
	all[count++] = argv[0];
	if (options->args != NULL) {
		all = read_fields(options, row, path, all, &count);
	} else {
		size_t variables = 0;
		environ = read_fields(options, row, path, grown(NULL, 0, sizeof(char *)), &variables);
	}
	for (int index = optind; index < *argc; index++) {
		all = grown(all, count, sizeof(char *));
		all[count++] = argv[index];
	}
	*argc = (int)count;
	options->args = NULL;
	options->own_environment = NULL;
	/* Restarts getopt, for glibc and musl. */
	optind = 0;
	return all;
}
