#define _GNU_SOURCE
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns whether a word needs no escaping on a terminal. */
static bool is_printable(const char *word)
{
	for (; *word != '\0'; word++) {
		if (*word < ' ' || *word > '~')
			return false;
	}
	return true;
}

/* Prints the same hint as cli/commands/run.ts for a command that cannot start or does not find its libraries. */
static void tell_of_prove(const char *root, char **command)
{
	for (char **word = command; *word != NULL; word++) {
		if (!is_printable(*word))
			return;
	}
	if (!is_printable(root))
		return;
	fprintf(stderr, "jailbuild: `jailbuild prove %s --", root);
	for (char **word = command; *word != NULL; word++)
		fprintf(stderr, " %s", *word);
	fputs("` reports what the jail lacks\n", stderr);
}

void run_without_node(const struct start *start, int argc, char **argv)
{
	struct run run = { .root = NULL };
	struct defaults defaults = { .parts = NULL };
	struct list environment;

	/* Node handles sockets from a supervisor. */
	if (argc < 3 || strcmp(argv[1], "run") != 0 || getuid() != 0 || geteuid() != 0 ||
	    getenv("LISTEN_FDS") != NULL || !parse_run(&run, (size_t)argc - 2, argv + 2))
		return;
	if (!read_defaults(start, run.root, &defaults))
		return;
	char **words = launcher_words(&run, &defaults, &environment);
	int status = words == NULL ? -1 : launch(start, words, environment.items, run.has_network);
	if (status < 0)
		return;
	if (status == 126 || status == 127)
		tell_of_prove(run.root, run.command == NULL ? defaults.command.items : run.command);
	exit(status);
}
