/* A further command in a running jail, with the rights of the jail's own (launcher/exec.ts). */
#define _GNU_SOURCE
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As in manifest/standard-path.ts. */
#define STANDARD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum kind { OTHER, KEPT_VALUE, KEPT_FLAG, FLAG };

static enum kind kind_of(const char *word)
{
	static const struct {
		enum kind kind;
		const char *word;
	} options[] = {
#define KEPT_VALUE(word) { KEPT_VALUE, word },
#define KEPT_FLAG(word) { KEPT_FLAG, word },
#define FLAG(word) { FLAG, word },
#include "exec_rights.h"
#undef KEPT_VALUE
#undef KEPT_FLAG
#undef FLAG
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].word, word) == 0)
			return options[i].kind;
	}
	return OTHER;
}

/* Adds the arguments of the jail that determine the rights of its command, and finds its user, if one is given. */
static char *add_rights(struct list *rights, const struct list *words)
{
	char *user = NULL;

	for (size_t i = 0; i < words->count && strcmp(words->items[i], "--") != 0; i++) {
		char *word = words->items[i];
		enum kind kind = kind_of(word);
		if (kind == KEPT_FLAG)
			add(rights, word);
		if (kind == KEPT_FLAG || kind == FLAG)
			continue;
		i++;
		char *value = i < words->count ? words->items[i] : "";
		if (kind == KEPT_VALUE) {
			add(rights, word);
			add(rights, value);
		}
		if (strcmp(word, "--user") == 0)
			user = value;
	}
	return user;
}

static const struct part *part_of(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->part_count; i++) {
		if (strcmp(run->parts[i].name, name) == 0)
			return &run->parts[i];
	}
	return NULL;
}

/* Returns the launcher's arguments, or NULL for what Node is to handle; makes its environment. */
static char **words_of(struct run *run, const struct jail *jail, struct list *environment)
{
	static char *common[] = { "PATH=" STANDARD_PATH, "HOME=/", "TERM=" };
	const struct defaults defaults = { .common = { 3, common } };
	const struct part *user = part_of(run, "user"), *workdir = part_of(run, "workdir");
	struct list list = { 0, NULL }, rights = { 0, calloc(2 * jail->words.count + 2, sizeof(char *)) }, names;
	size_t commands = 0;

	while (run->command != NULL && run->command[commands] != NULL)
		commands++;
	if (rights.items == NULL || !make_environment(environment, run, &defaults))
		return NULL;
	char *who = add_rights(&rights, &jail->words);
	who = user != NULL ? user->words[1] : who;
	if (who != NULL && *who == '\0')
		return NULL;
	/* The user's home is in the jail's passwd. */
	run->has_user = who != NULL;
	if (!make_environment(&names, run, &defaults))
		return NULL;
	list.items = calloc(16 + rights.count + 2 * names.count + commands, sizeof(char *));
	char *joined = NULL;
	if (list.items == NULL || asprintf(&joined, "%s:%s", jail->entry, jail->start) < 0)
		return NULL;
	/* The launcher's path. */
	add(&list, "");
	add(&list, "--die-with-parent");
	add(&list, "--sealed");
	add(&list, "--join");
	add(&list, joined);
	if (who != NULL) {
		add(&list, "--user");
		add(&list, who);
	}
	for (size_t i = 0; i < rights.count; i++)
		add(&list, rights.items[i]);
	/* A signal to the process group would also reach the launcher. */
	add(&list, run->has_tty ? "--pty" : "--new-session");
	if (!add_names(&list, &names))
		return NULL;
	for (size_t i = 0; workdir != NULL && i < workdir->count; i++)
		add(&list, workdir->words[i]);
	if (commands > 0)
		add(&list, "--");
	for (size_t i = 0; i < commands; i++)
		add(&list, run->command[i]);
	return list.items;
}

void exec_without_node(const struct start *start, int argc, char **argv)
{
	struct run run = { .root = NULL };
	struct jail jail;
	struct list environment;

	if (argc < 3 || strcmp(argv[1], "exec") != 0 || getuid() != geteuid() ||
	    !parse_exec(&run, (size_t)argc - 2, argv + 2) || !find_jail(run.root, &jail))
		return;
	char **words = words_of(&run, &jail, &environment);
	int status = words == NULL ? -1 : launch(start, words, environment.items, false);
	if (status >= 0)
		exit(status);
}
