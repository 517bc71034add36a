/* The environment of a command. */
#define _GNU_SOURCE
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sets a variable in place of one of the same name, or after the others. */
static void set_variable(struct list *variables, char *text)
{
	size_t length = strcspn(text, "=") + 1;

	for (size_t i = 0; i < variables->count; i++) {
		if (strncmp(variables->items[i], text, length) == 0) {
			variables->items[i] = text;
			return;
		}
	}
	add(variables, text);
}

bool make_environment(struct list *environment, const struct run *run, const struct defaults *defaults)
{
	const char *term = getenv("TERM");

	environment->count = 0;
	environment->items = calloc(defaults->common.count + defaults->own.count + run->variables.count + 1,
				    sizeof(char *));
	if (environment->items == NULL)
		return false;
	for (size_t i = 0; i < defaults->common.count; i++) {
		char *text = defaults->common.items[i];
		/* Users have homes of their own, and each run its own terminal. */
		if (run->has_user && strncmp(text, "HOME=", 5) == 0)
			continue;
		if (strncmp(text, "TERM=", 5) == 0) {
			if (term == NULL)
				continue;
			if (asprintf(&text, "TERM=%s", term) < 0)
				return false;
		}
		add(environment, text);
	}
	for (size_t i = 0; i < defaults->own.count; i++)
		set_variable(environment, defaults->own.items[i]);
	for (size_t i = 0; i < run->variables.count; i++)
		set_variable(environment, run->variables.items[i]);
	return true;
}

bool add_names(struct list *list, const struct list *environment)
{
	for (size_t i = 0; i < environment->count; i++) {
		char *name = strndup(environment->items[i], strcspn(environment->items[i], "="));
		if (name == NULL)
			return false;
		add(list, "--env");
		add(list, name);
	}
	return true;
}
