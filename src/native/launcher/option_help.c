/* Options that print something and exit. */
#define _GNU_SOURCE
#include "option_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

void print_denied(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	list_denied();
}

void print_version(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	puts("invoke_ns (jailbuild) " VERSION);
	exit(EXIT_SUCCESS);
}

enum { COLUMN = 17, WIDTH = 80 };

/* Prints the second column, wrapped at blanks. */
static void print_folded(const char *text, int column)
{
	while (*text != '\0') {
		int length = (int)strcspn(text, " ");
		if (column > COLUMN && column + 1 + length > WIDTH)
			column = 0;
		printf("%*s%.*s", column < COLUMN ? COLUMN - column : column > COLUMN, "", length, text);
		column = (column < COLUMN ? COLUMN : column + 1) + length;
		text += length + (text[length] == ' ');
		if (*text != '\0' && column + 1 + (int)strcspn(text, " ") > WIDTH) {
			putchar('\n');
			column = 0;
		}
	}
	putchar('\n');
}

void print_help(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	puts("Usage: invoke_ns [option...] [command [argument...]]\n"
	     "Runs a command, or a shell, in a new root directory and in new namespaces.\n");
	for (const struct row *each = rows; each < rows + ROWS; each++) {
		char words[120];
		if (each->parse == NULL) {
			printf("\n%s\n", each->help);
			continue;
		}
		int length = snprintf(words, sizeof(words), "  %s%.1s%s%s%s%s%s", each->letter ? "-" : "",
				      each->letter ? &each->letter : "", each->letter && each->name ? ", " : "",
				      each->name ? "--" : "", each->name ? each->name : "",
				      each->argument ? " " : "", each->argument ? each->argument : "");
		printf("%s%s", words, length >= COLUMN - 1 ? "\n" : "");
		print_folded(each->help, length >= COLUMN - 1 ? 0 : length);
	}
	puts("\nThe exit status is that of the command, 128+n if signal n ended it, 127 if it\n"
	     "does not exist, 126 if it cannot be executed, 125 for any other failure.");
	exit(EXIT_SUCCESS);
}
