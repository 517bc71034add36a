/* The table of options in options.h, and its parsers. */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "launcher.h"

typedef void parser(struct options *options, const struct row *row, const char *value);

struct row {
	char letter;
	const char *name, *argument;
	/* NULL in a row that begins a group. */
	parser *parse;
	/* Offset in struct options. */
	size_t place;
	const char *needs, *help;
};

#define HEADING(text) +1
#define OPTION(letter, name, argument, parse, member, needs, help) +1
enum {
	ROWS =
#include "options.h"
};
#undef HEADING
#undef OPTION
/* options.c */
extern const struct row rows[ROWS];

/* option_values.c */
parser parse_flag, parse_text, parse_number_text, parse_offset, parse_item, parse_hostname, parse_ipc, parse_fd;
parser parse_block, parse_passed, parse_observed, parse_try, parse_held, parse_passed_count, parse_kept_caps;
parser parse_ambient, parse_umask, parse_variable;
/* Refuses a value, naming the option and the expected form. */
_Noreturn void die_of(const struct row *row, const char *value);
/* Parses the number of an open descriptor. */
int parse_descriptor(struct options *options, const struct row *row, const char *value);

/* mount_options.c */
parser parse_overlay_mount, parse_ro_overlay_mount, parse_bind, parse_dev_bind, parse_bind_fd, parse_tmpfs;
parser parse_filesystem, parse_mqueue, parse_file;
parser parse_bind_data, parse_dir, parse_symlink, parse_chmod, parse_mask, parse_protect, parse_device;

/* option_help.c */
parser print_help, print_denied, print_version;

/* option_file.c */
/*
 * Inserts the arguments from the file of --args after those that getopt has processed, or takes the environment from that
 * of --environ. Returns the new list; getopt restarts with it.
 */
char **splice_arguments(struct options *options, const struct row *row, int *argc, char **argv);
/* Returns all arguments including those from files, for a copy of this program that no longer has these files. */
char **whole_list(int argc, char **argv);

#endif
