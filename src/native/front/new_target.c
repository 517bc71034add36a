#define _GNU_SOURCE
#include "new_target.h"
#include "stored.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Node shortens the name of the stage of jails with longer names. */
#define MAX_NAME 240

/* Neither yargs nor a terminal nor JSON gives these bytes a meaning. */
static bool is_plain(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+")] == '\0';
}

int find_target_word(int argc, char **argv)
{
	int at = argc > 1 && strcmp(argv[1], "build") == 0 ? 2 : 1;

	/* A word with a slash names no command. */
	if (at >= argc || argv[at][0] == '-' || strchr(argv[at], '/') == NULL)
		return 0;
	return at;
}

/* Makes a path absolute, without following links. */
static bool set_path(char path[PATH_MAX], const char *word)
{
	size_t length = 0;

	if (*word != '/') {
		if (getcwd(path, PATH_MAX) == NULL || *path != '/')
			return false;
		length = strcmp(path, "/") == 0 ? 0 : strlen(path);
	}
	while (*word != '\0') {
		size_t size = strcspn(word, "/");
		bool is_here = size == 0 || (size == 1 && *word == '.');
		if (size == 2 && strncmp(word, "..", 2) == 0)
			return false;
		if (!is_here) {
			if (length + 1 + size >= PATH_MAX)
				return false;
			path[length] = '/';
			memcpy(path + length + 1, word, size);
			length += 1 + size;
		}
		word += size + (word[size] == '/');
	}
	path[length] = '\0';
	return length > 0 && is_plain(path);
}

bool locate_new_target(const char *word, struct new_target *target)
{
	if (!is_plain(word) || !set_path(target->path, word))
		return false;
	char *slash = strrchr(target->path, '/');
	target->name = slash + 1;
	if (strlen(target->name) > MAX_NAME)
		return false;
	snprintf(target->stage, sizeof(target->stage), ".%s.jailbuild", target->name);
	*slash = '\0';
	int parent = open_safe_directory(slash == target->path ? "/" : target->path);
	*slash = '/';
	if (parent < 0)
		return false;
	target->base = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(parent);
	if (target->base < 0)
		return false;
	if (is_nothing(target->base, target->name))
		return true;
	close(target->base);
	return false;
}
