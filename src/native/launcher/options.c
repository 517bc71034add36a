/* Parses the command line by the table in options.h. */
#define _GNU_SOURCE
#include "option_table.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADING(text) { .help = text },
#define OPTION(letter, name, argument, parse, member, needs, help) \
	{ letter, name, argument, parse, offsetof(struct options, member), needs, help },
const struct row rows[ROWS] = {
#include "options.h"
};

/* getopt returns a row's index plus this for long options. */
enum { LONG = 256 };
static bool given[ROWS];

static const struct row *row_named(const char *word, size_t length)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		bool is_letter = length == 2 && row->letter != 0 && row->letter == word[1];
		bool is_name = row->name != NULL && strlen(row->name) + 2 == length &&
			       strncmp(row->name, word + 2, length - 2) == 0;
		if (is_letter || is_name)
			return row;
	}
	return NULL;
}

/* Refuses an option given without one that it depends on, since the effect would be less than requested. */
static void check_needs(const struct row *row)
{
	for (const char *word = row->needs; *word != '\0';) {
		char message[120];
		size_t length = strcspn(word, " "), part;
		bool is_met = false;
		/* One of several alternatives. */
		for (const char *one = word; one < word + length; one += part + 1) {
			part = strcspn(one, "| ");
			const struct row *needed = row_named(one, part);
			is_met = is_met || (needed != NULL && given[needed - rows]);
		}
		if (!is_met) {
			snprintf(message, sizeof(message), "--%s needs %.*s", row->name, (int)length, word);
			die(message, NULL);
		}
		word += length + (word[length] == ' ');
	}
}

/* Copies the arguments: the init overwrites the originals while the command still uses them. */
static char **copies_of(int argc, char **argv)
{
	char **copies = allocate(((size_t)argc + 1) * sizeof(char *));
	for (int index = 0; index < argc; index++)
		copies[index] = copy_of(argv[index]);
	return copies;
}

void parse_options(struct options *options, int argc, char **argv)
{
	struct option long_options[ROWS + 1] = { 0 };
	char letters[2 * ROWS + 2] = "+";
	size_t count = 0, length = 1;
	int option;

	for (int index = 0; index < ROWS; index++) {
		const struct row *row = &rows[index];
		int has_argument = row->argument != NULL ? required_argument : no_argument;
		if (row->name != NULL)
			long_options[count++] = (struct option){ row->name, has_argument, NULL, LONG + index };
		if (row->letter != 0)
			letters[length++] = row->letter;
		if (row->letter != 0 && has_argument)
			letters[length++] = ':';
	}

	*options = (struct options){ .info_fd = -1, .status_fd = -1, .block_fd = -1, .changes_fd = -1, .argv = argv };
	options->env = grown(NULL, 0, sizeof(char *));
	argv = copies_of(argc, argv);
	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const char word[] = { '-', (char)option };
		const struct row *row = option >= LONG ? &rows[option - LONG] : row_named(word, 2);
		/* getopt has reported the error. */
		if (row == NULL || row->parse == NULL)
			exit(FAILED);
		given[row - rows] = true;
		row->parse(options, row, optarg);
		if (options->args != NULL || options->own_environment != NULL)
			argv = splice_arguments(options, row, &argc, argv);
	}
	options->words = whole_list(argc, argv);
	options->command = optind < argc ? argv + optind : NULL;
	for (int index = 0; index < ROWS; index++)
		if (given[index])
			check_needs(&rows[index]);
}
