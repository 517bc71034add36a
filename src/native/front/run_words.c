/* The launcher's arguments for a run: those of every run of the jail, changed by the options of this one. */
#define _GNU_SOURCE
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns whether /tmp can be mounted on, as launcher/tmp.ts does. */
static bool can_mount_tmp(const char *root)
{
	char path[PATH_MAX];
	struct stat stat;

	if (snprintf(path, sizeof(path), "%s/tmp", root) >= (int)sizeof(path))
		return false;
	if (lstat(path, &stat) < 0)
		return errno == ENOENT && access(root, W_OK) == 0;
	if (!S_ISDIR(stat.st_mode) || (stat.st_mode & S_IWOTH) != 0)
		return false;
	DIR *directory = opendir(path);
	bool is_empty = directory != NULL;
	for (struct dirent *entry; is_empty && (entry = readdir(directory)) != NULL;)
		is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (directory != NULL)
		closedir(directory);
	return is_empty;
}

static const struct part *changed_part(const struct run *run, const struct part *part)
{
	for (size_t i = 0; i < run->part_count; i++) {
		if (strcmp(run->parts[i].name, part->name) == 0)
			return &run->parts[i];
	}
	return part;
}

static void add_all(struct list *list, const struct part *part)
{
	for (size_t i = 0; i < part->count; i++)
		add(list, part->words[i]);
}

/* Returns the names in the place of a mount of the defaults, which is all of the value up to a colon. */
static size_t depth_of_tmpfs(const char *value)
{
	size_t count = 0;

	for (; *value != '\0' && *value != ':'; value++) {
		if (*value == '\\' && value[1] != '\0')
			value++;
		else
			count += *value == '/' && value[1] != '/' && value[1] != '\0' && value[1] != ':';
	}
	return count;
}

static int compare_mounts(const void *one, const void *other)
{
	const struct mount *const *first = one, *const *second = other;

	if ((*first)->depth != (*second)->depth)
		return (*first)->depth < (*second)->depth ? -1 : 1;
	if ((*first)->row != (*second)->row)
		return (*first)->row < (*second)->row ? -1 : 1;
	return (*first) < (*second) ? -1 : *first > *second;
}

/* Adds the mounts of the defaults, which come first in their row, and those of this run. */
static bool add_mounts(struct list *list, const struct run *run, const struct part *part)
{
	size_t count = part->count / 2 + run->mount_count;
	struct mount *mounts = calloc(count + 1, sizeof(*mounts)), **order = calloc(count + 1, sizeof(*order));

	if (mounts == NULL || order == NULL)
		return false;
	for (size_t i = 0; i < part->count / 2; i++) {
		char **words = part->words + 2 * i;
		/* A record can have no other mounts. */
		if (strcmp(words[0], "--tmpfs") != 0)
			return false;
		mounts[i] = (struct mount){ { words[0], words[1] }, depth_of_tmpfs(words[1]), row_of_tmpfs() };
	}
	memcpy(mounts + part->count / 2, run->mounts, run->mount_count * sizeof(*mounts));
	for (size_t i = 0; i < count; i++)
		order[i] = &mounts[i];
	qsort(order, count, sizeof(*order), compare_mounts);
	for (size_t i = 0; i < count; i++) {
		add(list, order[i]->words[0]);
		add(list, order[i]->words[1]);
	}
	if (run->has_network)
		add_network_mount(list);
	return true;
}

/* Adds `--caps NAME,...` without those that the run drops. Node handles a name that is not among them. */
static bool add_capabilities(struct list *list, const struct run *run, const struct part *part)
{
	char *left = NULL;

	if (part->count != 2 || asprintf(&left, ",%s,", part->words[1]) < 0)
		return false;
	for (size_t i = 0; i < run->dropped.count; i++) {
		const char *name = run->dropped.items[i];
		char *wanted = NULL;
		if (strcmp(name, "all") == 0) {
			strcpy(left, ",");
			continue;
		}
		if (asprintf(&wanted, ",%s,", name) < 0)
			return false;
		char *found = strstr(left, wanted);
		if (strchr(name, ',') != NULL || strcmp(name, "none") == 0 || found == NULL)
			return false;
		memmove(found, found + strlen(name) + 1, strlen(found + strlen(name) + 1) + 1);
	}
	left[strlen(left) - 1] = '\0';
	add(list, part->words[0]);
	add(list, *left == '\0' ? "none" : left + 1);
	return true;
}

static bool add_part(struct list *list, const struct run *run, const struct part *part,
		     const struct list *environment)
{
	if (strcmp(part->name, "mounts") == 0)
		return add_mounts(list, run, part);
	if (strcmp(part->name, "cap-drop") == 0 && run->dropped.count > 0)
		return add_capabilities(list, run, part);
	if (strcmp(part->name, "env") == 0) {
		if (!add_names(list, environment))
			return false;
		if (run->has_network)
			add_network_descriptors(list);
		return true;
	}
	if (strcmp(part->name, "no-tmp") != 0)
		add_all(list, *part->name == '\0' ? part : changed_part(run, part));
	else if (!run->no_tmp && !run->has_tmp && can_mount_tmp(run->root))
		add_all(list, part);
	return true;
}

static size_t count_words(char **words)
{
	size_t count = 0;

	while (words[count] != NULL)
		count++;
	return count;
}

char **launcher_words(const struct run *run, const struct defaults *defaults, struct list *environment)
{
	char **command = run->command == NULL ? defaults->command.items : run->command;
	struct list list = { 0, NULL };

	if (!make_environment(environment, run, defaults))
		return NULL;
	size_t most = 16 + count_words(command) + 2 * (environment->count + run->part_count + run->mount_count);
	for (size_t i = 0; i < defaults->part_count; i++)
		most += defaults->parts[i].count;
	list.items = calloc(most, sizeof(char *));
	if (list.items == NULL)
		return NULL;
	/* The launcher's path. */
	add(&list, "");
	/* The launcher ends with this process, since nothing else would forward signals. */
	add(&list, "--die-with-parent");
	if (run->dies_with_parent) {
		char *parent = NULL;
		if (asprintf(&parent, "%d", (int)getppid()) < 0)
			return NULL;
		add(&list, "--die-with");
		add(&list, parent);
	}
	for (size_t i = 0; i < defaults->part_count; i++) {
		if (!add_part(&list, run, &defaults->parts[i], environment))
			return NULL;
	}
	if (*command != NULL)
		add(&list, "--");
	for (; *command != NULL; command++)
		add(&list, *command);
	return list.items;
}
