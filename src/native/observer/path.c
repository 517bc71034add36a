#define _GNU_SOURCE
#include "observer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char deleted[] = " (deleted)";

/* Reads a link in /proc to a file, as a path of the first root. */
static bool read_link_of(pid_t process, const struct root *root, const char *name, char to[2 * PATH_SIZE])
{
	char link[64], text[PATH_SIZE];
	size_t above = strlen(root->text);

	snprintf(link, sizeof(link), "/proc/%d/%s", process, name);
	ssize_t length = readlink(link, text, sizeof(text) - 1);
	if (length < 0)
		return false;
	text[length] = '\0';
	if ((size_t)length >= sizeof(deleted) && strcmp(text + length - (sizeof(deleted) - 1), deleted) == 0)
		return false;
	/* Files outside the root, and those without a path, have another form of text. */
	if (text[0] != '/' || strncmp(text, root->text, above) != 0 ||
	    (text[above] != '/' && text[above] != '\0'))
		return false;
	snprintf(to, 2 * PATH_SIZE, "%s%s", root->prefix, text[above] == '\0' ? "/" : text + above);
	return true;
}

bool path_of_descriptor(pid_t process, const struct root *root, int descriptor, char to[2 * PATH_SIZE])
{
	char name[24];
	if (descriptor == AT_FDCWD)
		return read_link_of(process, root, "cwd", to);
	snprintf(name, sizeof(name), "fd/%d", descriptor);
	return read_link_of(process, root, name, to);
}

bool absolute(pid_t process, const struct root *root, int directory, const char *path, char to[2 * PATH_SIZE])
{
	if (path[0] == '/') {
		stpcpy(stpcpy(to, root->prefix), path);
		return true;
	}
	if (!path_of_descriptor(process, root, directory, to))
		return false;
	size_t length = strlen(to);
	snprintf(to + length, 2 * PATH_SIZE - length, "%s%s", length > 1 ? "/" : "", path);
	return true;
}
