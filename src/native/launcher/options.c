/* The command line: parsers, and what they fill by the table of options.h. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

struct row {
	char letter;
	const char *name, *argument;
	void (*parse)(struct options *options, const struct row *row, const char *value);
	/* In struct options. */
	size_t place;
	const char *needs, *help;
};

static _Noreturn void print_help(struct options *options, const struct row *row, const char *value);

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

/* What the options hold is kept to the end of the process. */
void *allocate(size_t size)
{
	static struct kept {
		struct kept *next;
		max_align_t bytes[];
	} *all;
	struct kept *kept = calloc(1, sizeof(*kept) + size);
	if (kept == NULL)
		die_errno("allocate memory", NULL);
	kept->next = all;
	all = kept;
	return kept->bytes;
}

/* The arguments themselves stay whole: the sealed copy is given them once more. */
static char *copy_of(const char *text)
{
	return strcpy(allocate(strlen(text) + 1), text);
}

void *grown(const void *list, size_t count, size_t size)
{
	void *larger = allocate((count + 3) * size);
	return count == 0 ? larger : memcpy(larger, list, count * size);
}

static void *place_of(struct options *options, const struct row *row)
{
	return (char *)options + row->place;
}

static void parse_flag(struct options *options, const struct row *row, const char *value)
{
	(void)value;
	*(bool *)place_of(options, row) = true;
}

static void parse_text(struct options *options, const struct row *row, const char *value)
{
	*(const char **)place_of(options, row) = value;
}

static void parse_number_text(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(value, 10) < 0)
		die_of(row, value);
	parse_text(options, row, value);
}

/* A time to add may be negative (time_namespaces(7)). */
static void parse_offset(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(*value == '-' ? value + 1 : value, 10) < 0)
		die_of(row, value);
	parse_text(options, row, value);
}

static void parse_item(struct options *options, const struct row *row, const char *value)
{
	struct list *list = place_of(options, row);
	list->items = grown(list->items, list->count, sizeof(char *));
	list->items[list->count++] = value;
}

static void parse_hostname(struct options *options, const struct row *row, const char *value)
{
	/* __NEW_UTS_LEN of the kernel. */
	if (strlen(value) > 64)
		die("a host name has at most 64 bytes; give a shorter one than", value);
	options->new_uts = true;
	parse_text(options, row, value);
}

static void parse_ipc(struct options *options, const struct row *row, const char *value)
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

static void parse_fd(struct options *options, const struct row *row, const char *value)
{
	*(int *)place_of(options, row) = parse_descriptor(options, row, value);
}

/* A fifo is opened for both, so that this does not wait for its other end. */
static void parse_block(struct options *options, const struct row *row, const char *value)
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

static void parse_passed(struct options *options, const struct row *row, const char *value)
{
	add_descriptor(&options->passed, parse_descriptor(options, row, value));
}

static void parse_observed(struct options *options, const struct row *row, const char *value)
{
	parse_flag(options, row, value);
	add_descriptor(&options->named, OBSERVER);
}

static void parse_try(struct options *options, const struct row *row, const char *value)
{
	options->try_user = strcmp(value, "user") == 0 || strcmp(value, "user,cgroup") == 0;
	options->try_cgroup = strcmp(value, "cgroup") == 0 || strcmp(value, "user,cgroup") == 0;
	if (!options->try_user && !options->try_cgroup)
		die_of(row, value);
}

static void parse_held(struct options *options, const struct row *row, const char *value)
{
	add_descriptor(&options->held, parse_descriptor(options, row, value));
}

/* From 3 on, as sd_listen_fds(3) and podman have them. */
static void parse_passed_count(struct options *options, const struct row *row, const char *value)
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

static void parse_kept_caps(struct options *options, const struct row *row, const char *value)
{
	(void)row;
	options->limit_caps = true;
	options->caps = parse_caps(value);
}

static void parse_ambient(struct options *options, const struct row *row, const char *value)
{
	(void)row;
	options->ambient = parse_caps(value);
}

static void parse_umask(struct options *options, const struct row *row, const char *value)
{
	if (parse_number(value, 8) < 0 || parse_number(value, 8) > 0777)
		die_of(row, value);
	parse_text(options, row, value);
}

static void parse_variable(struct options *options, const struct row *row, const char *value)
{
	if (*value == '=' || *value == '\0')
		die_of(row, value);
	/* Of our own environment, so that its value is in no list of processes. */
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

static _Noreturn void print_denied(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	list_denied();
}

static _Noreturn void print_version(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	puts("invoke_ns (jailbuild) " VERSION);
	exit(EXIT_SUCCESS);
}

#define HEADING(text) { .help = text },
#define OPTION(letter, name, argument, parse, member, needs, help) \
	{ letter, name, argument, parse, offsetof(struct options, member), needs, help },
static const struct row rows[] = {
#include "options.h"
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), COLUMN = 17, WIDTH = 80, LONG = 256 };
static bool given[ROWS];

/* The second column, folded at blanks. */
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

static void print_help(struct options *options, const struct row *row, const char *value)
{
	(void)options, (void)row, (void)value;
	puts("Usage: invoke_ns [option...] [command [argument...]]\n"
	     "Runs a command, or a shell, in a new root and in namespaces of its own.\n");
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
	     "is not there, 126 if it cannot be executed, 125 for any other failure.");
	exit(EXIT_SUCCESS);
}

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

/* Where one option is of no use without another, to go on would be less than what was asked for. */
static void check_needs(const struct row *row)
{
	for (const char *word = row->needs; *word != '\0';) {
		char message[120];
		size_t length = strcspn(word, " "), part;
		bool is_met = false;
		/* One of these. */
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

/* The init wipes the arguments we were called with while the command still uses what they said. */
static char **copies_of(int argc, char **argv)
{
	char **copies = allocate(((size_t)argc + 1) * sizeof(char *));
	for (int index = 0; index < argc; index++)
		copies[index] = copy_of(argv[index]);
	return copies;
}

/* The arguments before the last file of them. */
static char **done;
static size_t done_count;

/* Keeps what getopt has taken, but for the option that names the file and, as a word of its own, the name. */
static void keep_done(char **argv, const char *path)
{
	int last = optind - (argv[optind - 1] == path ? 2 : 1);
	for (int index = 1; index < last; index++) {
		done = grown(done, done_count, sizeof(char *));
		done[done_count++] = argv[index];
	}
}

/* All arguments, those of files in their places, for a copy of us that has not these files any more. */
static char **whole_list(int argc, char **argv)
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

/*
 * Puts the arguments of a file, each ended by a NUL, in the place of those that are done with. Returns the
 * new list; getopt begins with it anew.
 */
static char **spliced(struct options *options, const struct row *row, int *argc, char **argv)
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
	/* Begin again, for glibc and for musl. */
	optind = 0;
	return all;
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

	*options = (struct options){ .info_fd = -1, .status_fd = -1, .block_fd = -1, .argv = argv };
	options->env = grown(NULL, 0, sizeof(char *));
	argv = copies_of(argc, argv);
	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const char word[] = { '-', (char)option };
		const struct row *row = option >= LONG ? &rows[option - LONG] : row_named(word, 2);
		/* getopt has said what is wrong. */
		if (row == NULL || row->parse == NULL)
			exit(FAILED);
		given[row - rows] = true;
		row->parse(options, row, optarg);
		if (options->args != NULL)
			argv = spliced(options, row, &argc, argv);
	}
	options->words = whole_list(argc, argv);
	options->command = optind < argc ? argv + optind : NULL;
	for (int index = 0; index < ROWS; index++)
		if (given[index])
			check_needs(&rows[index]);
}
