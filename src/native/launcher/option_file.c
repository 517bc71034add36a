/* Arguments from a file, each terminated by a NUL. */
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

char **splice_arguments(struct options *options, const struct row *row, int *argc, char **argv)
{
	const char *path = options->args;
	bool is_number = parse_number(path, 10) >= 0;
	scoped_fd fd = is_number ? parse_descriptor(options, row, path) : open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL, **all = NULL;
	size_t size = 0, count = 0;

	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "r");
	if (file == NULL)
		die_errno("open the arguments", path);
	keep_done(argv, path);
	all = grown(all, count++, sizeof(char *));
	all[0] = argv[0];
	while (getdelim(&text, &size, '\0', file) > 0) {
		all = grown(all, count, sizeof(char *));
		all[count++] = copy_of(text);
	}
	if (ferror(file))
		die_errno("read the arguments", path);
	free(text);
	fclose(file);
	for (int index = optind; index < *argc; index++) {
		all = grown(all, count, sizeof(char *));
		all[count++] = argv[index];
	}
	*argc = (int)count;
	options->args = NULL;
	/* Restarts getopt, for glibc and musl. */
	optind = 0;
	return all;
}
