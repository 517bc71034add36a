/*
 * Parses the common options of `run`, and those of `exec`, as the script does; what it does not know for certain, it leaves
 * to Node.
 */
#define _GNU_SOURCE
#include "run.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, VALUE, LIST };

struct option;
/* Returns false for a value that Node is to handle. */
typedef bool take(struct run *run, const struct option *option, char *value);

struct option {
	const char *name, *spellings;
	enum kind kind;
	take *take;
	const char *part;
};

static take take_bind, take_tmpfs, take_dir, take_symlink, take_no_tmp, take_switch_on, take_switch_off, take_proc;
static take take_variable, take_workdir, take_argv0, take_tty, take_hostname, take_network, take_shared, take_user;
static take take_overlay, take_dropped, take_umask, take_memory, take_count, take_cpus, take_die_with_parent;

#define OPTION(name, spellings, kind, parser, part) { name, spellings, kind, parser, part },
static const struct option options_of_run[] = {
#include "run_options.h"
};
static const struct option options_of_exec[] = {
#include "exec_options.h"
};
#undef OPTION

/* The options of a command. */
struct table {
	const struct option *options;
	size_t count;
	/* Returns whether the script takes a positional word as it is. */
	bool (*is_positional)(const char *word);
};
static bool names_jail(const char *word);
#define TABLE(options, is_positional) { options, sizeof(options) / sizeof((options)[0]), is_positional }
static const struct table run_table = TABLE(options_of_run, is_resolved), exec_table = TABLE(options_of_exec, names_jail);
enum { MOST_OPTIONS = sizeof(options_of_run) / sizeof(options_of_run[0]) };

static bool is_one_of(char character, const char *set)
{
	return character != '\0' && strchr(set, character) != NULL;
}

/*
 * Returns whether the script takes a word as it is (cli/plain-words.ts). Others than printable ASCII characters are
 * left to Node, which may decode them.
 */
static bool is_plain(const char *word)
{
	if (*word == '\0' || strcmp(word, "$0") == 0 || is_one_of(*word, "'\"") ||
	    is_one_of(word[strlen(word) - 1], "'\""))
		return false;
	for (; *word != '\0'; word++) {
		if (*word < ' ' || *word > '~')
			return false;
	}
	return true;
}

static bool is_spelling(const struct option *option, const char *word, size_t length)
{
	for (const char *at = option->spellings; *at != '\0'; at += strcspn(at, " ") + 1) {
		if (strcspn(at, " ") == length && strncmp(at, word, length) == 0)
			return true;
	}
	return false;
}

static const struct option *find_option(const struct table *table, const char *word, size_t length)
{
	for (size_t i = 0; i < table->count; i++) {
		if (is_spelling(&table->options[i], word, length))
			return &table->options[i];
	}
	return NULL;
}

/* Returns the option of a word and its value, if the word has one; NULL for any other word. */
static const struct option *read_option(const struct table *table, char *word, char **value)
{
	char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;

	*value = equals == NULL ? NULL : equals + 1;
	return find_option(table, word, equals == NULL ? strlen(word) : (size_t)(equals - word));
}

static bool allocate(struct run *run, size_t count)
{
	run->parts = calloc(count + 1, sizeof(*run->parts));
	run->mounts = calloc(count + 1, sizeof(*run->mounts));
	run->variables.items = calloc(count + 1, sizeof(char *));
	run->dropped.items = calloc(count + 1, sizeof(char *));
	run->writable.items = calloc(count + 1, sizeof(char *));
	return run->parts != NULL && run->mounts != NULL && run->variables.items != NULL &&
	       run->dropped.items != NULL && run->writable.items != NULL;
}

/* Returns whether the real path of a file is another's or above it. */
static bool is_at_or_above(const char *source, const char *path)
{
	char outer[PATH_MAX], inner[PATH_MAX];

	/* The launcher reports missing paths. */
	if (realpath(source, outer) == NULL || realpath(path, inner) == NULL)
		return false;
	size_t length = strcmp(outer, "/") == 0 ? 0 : strlen(outer);
	return strncmp(outer, inner, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}

/* Returns whether a bind mount lets the command write the record of the jail (launcher/uncovering.ts): Node warns. */
static bool can_uncover(const struct run *run)
{
	for (size_t i = 0; i < run->writable.count; i++) {
		if (is_at_or_above(run->writable.items[i], run->root))
			return true;
	}
	return false;
}

size_t row_of_tmpfs(void)
{
	return (size_t)(find_option(&run_table, "--tmpfs", strlen("--tmpfs")) - options_of_run);
}

static bool parse_words(const struct table *table, struct run *run, size_t count, char **words)
{
	bool given[MOST_OPTIONS] = { false };

	if (!allocate(run, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		char *word = words[i], *value;
		if (strcmp(word, "--") == 0) {
			run->command = i + 1 < count ? words + i + 1 : NULL;
			break;
		}
		if (*word != '-') {
			if (run->root != NULL || !table->is_positional(word))
				return false;
			run->root = word;
			continue;
		}
		const struct option *option = read_option(table, word, &value);
		if (option == NULL)
			return false;
		if (option->kind != LIST && given[option - table->options])
			return false;
		given[option - table->options] = true;
		if (option->kind == FLAG) {
			if (value != NULL)
				return false;
		} else {
			if (value == NULL && ++i < count)
				value = words[i];
			if (value == NULL || !is_plain(value) || *value == '-')
				return false;
		}
		if (!option->take(run, option, value))
			return false;
	}
	return run->root != NULL;
}

bool parse_run(struct run *run, size_t count, char **words)
{
	return parse_words(&run_table, run, count, words) && !(run->has_tty && run->has_no_dev) && !can_uncover(run);
}

bool parse_exec(struct run *run, size_t count, char **words)
{
	return parse_words(&exec_table, run, count, words);
}

/* A root, or a PID of as many digits as PIDs have at most. */
static bool names_jail(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	return is_resolved(word) || (digits > 0 && digits <= 7 && word[digits] == '\0');
}

bool is_resolved(const char *path)
{
	size_t length;

	if (*path != '/' || path[1] == '\0')
		return false;
	for (; *path == '/'; path += 1 + length) {
		length = strcspn(path + 1, "/");
		if (length == 0 || (length == 1 && path[1] == '.') ||
		    (length == 2 && path[1] == '.' && path[2] == '.'))
			return false;
	}
	return true;
}

/* Replaces a part by an option and a value, either of which may be NULL. */
static bool set_part(struct run *run, const char *name, const char *first, char *second)
{
	struct part *part = &run->parts[run->part_count++];

	part->name = name;
	part->words = calloc(3, sizeof(*part->words));
	if (part->words == NULL)
		return false;
	if (first != NULL)
		part->words[part->count++] = (char *)first;
	if (second != NULL)
		part->words[part->count++] = second;
	return true;
}

static char *number_text(uint64_t number)
{
	char *text = NULL;

	return asprintf(&text, "%llu", (unsigned long long)number) < 0 ? NULL : text;
}

static size_t count_names(const char *path)
{
	size_t count = 0;

	for (; *path != '\0'; path++)
		count += *path == '/' && path[1] != '/' && path[1] != '\0';
	return count;
}

/* Returns whether a place is /tmp, or the root with or without one. */
static bool is_tmp(const char *place)
{
	size_t length = strlen(place);

	while (length > 0 && place[length - 1] == '/')
		length--;
	return length == 0 || (length == 4 && strncmp(place, "/tmp", 4) == 0);
}

/* Adds a mount; its place is the text up to `length`. Backslashes escape colons, and are left to Node. */
static bool add_mount(struct run *run, const struct option *option, const char *by, char *value, const char *target,
		      size_t length)
{
	char *place = strndup(target, length);

	if (place == NULL || value == NULL || strchr(value, '\\') != NULL || *place != '/')
		return false;
	size_t depth = count_names(place);
	run->has_tmp |= is_tmp(place);
	run->mounts[run->mount_count++] = (struct mount){
		.words = { (char *)by, value }, .depth = depth, .row = (size_t)(option - options_of_run)
	};
	free(place);
	return true;
}

static bool take_bind(struct run *run, const struct option *option, char *value)
{
	char *first = strchr(value, ':'), *last = strrchr(value, ':');
	bool read_only = strncmp(option->name, "ro-", 3) == 0;
	bool devices = strncmp(option->name, "dev-", 4) == 0;
	bool optional = strlen(option->name) > 4 && strcmp(option->name + strlen(option->name) - 4, "-try") == 0;
	size_t length = strlen(value);

	if (last != NULL && (strcmp(last, ":ro") == 0 || strcmp(last, ":rw") == 0)) {
		read_only |= strcmp(last, ":ro") == 0;
		length = (size_t)(last - value);
	}
	char *source = strndup(value, first == NULL ? length : (size_t)(first - value));
	if (source == NULL || !is_resolved(source))
		return false;
	char *target = source;
	if (first != NULL && first != value + length)
		target = strndup(first + 1, length - (size_t)(first + 1 - value));
	if (target == NULL || strchr(target, ':') != NULL || count_names(target) == 0)
		return false;
	if (!read_only)
		add(&run->writable, source);
	char *text = NULL;
	if (asprintf(&text, "%s:%s%s%s%s%s", source, target, read_only || optional ? ":" : "",
		     read_only ? "ro" : "", read_only && optional ? "," : "", optional ? "try" : "") < 0)
		return false;
	return add_mount(run, option, devices ? "--dev-bind" : "--bind", text, target, strlen(target));
}

static bool take_tmpfs(struct run *run, const struct option *option, char *value)
{
	size_t length = strcspn(value, ":");

	/* A place with slashes only is the root of the jail. */
	return strspn(value, "/") < length && add_mount(run, option, "--tmpfs", value, value, length);
}

static bool is_octal(const char *text)
{
	return *text != '\0' && text[strspn(text, "01234567")] == '\0';
}

static bool take_dir(struct run *run, const struct option *option, char *value)
{
	size_t length = strcspn(value, ":");

	return (value[length] == '\0' || is_octal(value + length + 1)) &&
	       add_mount(run, option, "--dir", value, value, length);
}

static bool take_symlink(struct run *run, const struct option *option, char *value)
{
	char *target = strchr(value, ':');

	return target != NULL && strchr(target + 1, ':') == NULL &&
	       add_mount(run, option, "--symlink", value, target + 1, strlen(target + 1));
}

static bool take_no_tmp(struct run *run, const struct option *option, char *value)
{
	(void)option, (void)value;
	run->no_tmp = true;
	return true;
}

/* A switch of the launcher of the same name. */
static bool take_switch_on(struct run *run, const struct option *option, char *value)
{
	char *text = NULL;

	(void)value;
	return asprintf(&text, "--%s", option->name) >= 0 && set_part(run, option->part, text, NULL);
}

/* The defaults have a switch of the launcher, which the option takes away. */
static bool take_switch_off(struct run *run, const struct option *option, char *value)
{
	(void)value;
	run->has_no_dev |= strcmp(option->name, "no-dev") == 0;
	return set_part(run, option->part, NULL, NULL);
}

static bool take_tty(struct run *run, const struct option *option, char *value)
{
	(void)value;
	run->has_tty = true;
	return set_part(run, option->part, "--pty", NULL);
}

static bool take_die_with_parent(struct run *run, const struct option *option, char *value)
{
	(void)option, (void)value;
	run->dies_with_parent = true;
	return true;
}

static bool take_proc(struct run *run, const struct option *option, char *value)
{
	if (strcmp(value, "full") == 0)
		return set_part(run, option->part, NULL, NULL);
	if (strcmp(value, "none") == 0)
		return set_part(run, option->part, "--no-proc", NULL);
	return strcmp(value, "masked") == 0 && set_part(run, option->part, "--mask-proc", NULL);
}

static bool is_name(const char *text, size_t length)
{
	if (length == 0 || isdigit((unsigned char)*text))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return false;
	}
	return true;
}

/* NAME=VALUE, or NAME for the caller's variable. The variables of Node and of this program are left to Node. */
static bool take_variable(struct run *run, const struct option *option, char *value)
{
	size_t length = strcspn(value, "=");
	char *text = value;

	(void)option;
	if (!is_name(value, length) || strncmp(value, "__", 2) == 0)
		return false;
	if (value[length] == '\0') {
		const char *own = getenv(value);
		if (strncmp(value, "NODE_", 5) == 0 || strncmp(value, "JAILBUILD_", 10) == 0 ||
		    strcmp(value, "GLIBC_TUNABLES") == 0)
			return false;
		if (own == NULL)
			return true;
		if (asprintf(&text, "%s=%s", value, own) < 0)
			return false;
	}
	add(&run->variables, text);
	return true;
}

/* It captures all writes to the root, including /tmp. */
static bool take_overlay(struct run *run, const struct option *option, char *value)
{
	run->has_tmp = true;
	return (strcmp(value, "tmpfs") == 0 || is_resolved(value)) && set_part(run, option->part, "--overlay", value);
}

static bool take_workdir(struct run *run, const struct option *option, char *value)
{
	return set_part(run, option->part, "--cwd", value);
}

static bool take_argv0(struct run *run, const struct option *option, char *value)
{
	return set_part(run, option->part, "--argv0", value);
}

static bool take_hostname(struct run *run, const struct option *option, char *value)
{
	return strpbrk(value, " /") == NULL && set_part(run, option->part, "-u", value);
}

static bool take_network(struct run *run, const struct option *option, char *value)
{
	/* For root, `outgoing` is slirp4netns if that is there. */
	run->has_network = strcmp(value, "outgoing") == 0 || strcmp(value, "slirp4netns") == 0;
	if (run->has_network && !has_network_helper())
		return false;
	if (run->has_network || strcmp(value, "none") == 0)
		return set_part(run, option->part, "-n", NULL);
	return strcmp(value, "host") == 0 && set_part(run, option->part, NULL, NULL);
}

/* `private` is the default. */
static bool take_shared(struct run *run, const struct option *option, char *value)
{
	if (strcmp(value, "host") == 0)
		return set_part(run, option->part, NULL, NULL);
	return strcmp(value, "private") == 0;
}

static bool take_user(struct run *run, const struct option *option, char *value)
{
	run->has_user = true;
	return set_part(run, option->part, "--user", value);
}

/* Adds one capability; with several in a word, Node is to find those that do not exist. */
static bool take_dropped(struct run *run, const struct option *option, char *value)
{
	char *name = strdup(value);

	(void)option;
	if (name == NULL)
		return false;
	for (char *at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	add(&run->dropped, strncmp(name, "cap_", 4) == 0 ? name + 4 : name);
	return true;
}

static bool take_umask(struct run *run, const struct option *option, char *value)
{
	return is_octal(value) && strlen(value) <= 4 && strtoul(value, NULL, 8) <= 0777 &&
	       set_part(run, option->part, "--umask", value);
}

/* Reads at most `most` digits, so that the number is exact in Node, too. */
static bool read_number(const char **text, size_t most, uint64_t *number)
{
	size_t length = strspn(*text, "0123456789");

	if (length == 0 || length > most)
		return false;
	*number = 0;
	for (size_t i = 0; i < length; i++)
		*number = *number * 10 + (uint64_t)((*text)[i] - '0');
	*text += length;
	return true;
}

/* A whole number and a unit, as in 512m; fractions are left to Node. */
static bool take_memory(struct run *run, const struct option *option, char *value)
{
	static const char units[] = "bkmgt";
	const char *text = value;
	uint64_t size;

	if (!read_number(&text, 9, &size))
		return false;
	int unit = tolower((unsigned char)*text);
	if (unit != '\0') {
		if (!is_one_of((char)unit, units))
			return false;
		size <<= 10 * (size_t)(strchr(units, unit) - units);
		text++;
	}
	/* `kb` is `k`. */
	if (tolower((unsigned char)*text) == 'b')
		text++;
	return *text == '\0' && size >= 1 && size < UINT64_C(1) << 53 &&
	       set_part(run, option->part, "--memory", number_text(size));
}

static bool take_count(struct run *run, const struct option *option, char *value)
{
	const char *text = value;
	uint64_t count;

	return read_number(&text, 15, &count) && *text == '\0' && count >= 1 &&
	       set_part(run, option->part, "--pids", number_text(count));
}

/* Processors in steps of the launcher, microseconds in a period of 100,000. */
static bool take_cpus(struct run *run, const struct option *option, char *value)
{
	const char *text = value;
	uint64_t whole, part = 0;

	if (!read_number(&text, 5, &whole))
		return false;
	if (*text == '.') {
		const char *begin = ++text;
		if (!read_number(&text, 5, &part))
			return false;
		for (ptrdiff_t digits = text - begin; digits < 5; digits++)
			part *= 10;
	}
	uint64_t quota = whole * 100000 + part;
	return *text == '\0' && quota >= 1000 && set_part(run, option->part, "--cpu-quota", number_text(quota));
}
