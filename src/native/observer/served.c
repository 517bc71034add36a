/*
 * File systems that other processes serve, here or over a network: they may never answer, or not before the observer
 * lets one of them go on. The observer only asks what the kernel has in its cache there.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* With more of them, everything counts as served. */
enum { MOST_SERVED = 64 };

/* Where they are, as paths of the first root without a slash at the end. */
static char *served[MOST_SERVED];
static size_t count;
static bool is_everything;

static bool is_served_type(const char *type)
{
	static const char *const types[] = { "fuse", "nfs", "cifs", "smb3", "9p", "afs", "ceph", "autofs" };
	if (strcmp(type, "fusectl") == 0)
		return false;
	for (size_t i = 0; i < COUNT(types); i++)
		if (strncmp(type, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

/* Replaces the escapes of proc(5), such as `\040` for a space. */
static void unescape(char *text)
{
	char *to = text;
	for (; *text != '\0'; to++) {
		unsigned int byte;
		if (text[0] == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
			*to = (char)byte;
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

static void add(char *path)
{
	unescape(path);
	size_t length = strlen(path);
	if (length > 0 && path[length - 1] == '/')
		path[length - 1] = '\0';
	char *copy = count < MOST_SERVED ? strdup(path) : NULL;
	if (copy != NULL)
		served[count++] = copy;
	else
		is_everything = true;
}

void learn_served(pid_t process)
{
	char name[40], *line = NULL, path[PATH_SIZE], type[64];
	size_t size = 0;

	snprintf(name, sizeof(name), "/proc/%d/mountinfo", process);
	FILE *file = fopen(name, "re");
	while (file != NULL && getline(&line, &size, file) > 0) {
		const char *end = strstr(line, " - ");
		if (end != NULL && sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1 &&
		    sscanf(end + 3, "%63s", type) == 1 && is_served_type(type))
			add(path);
	}
	free(line);
	if (file != NULL)
		fclose(file);
	else
		is_everything = true;
}

void everything_is_served(void)
{
	is_everything = true;
}

bool is_served(const char *path)
{
	for (size_t i = 0; i < count && !is_everything; i++) {
		size_t length = strlen(served[i]);
		if (strncmp(path, served[i], length) == 0 && (path[length] == '/' || path[length] == '\0'))
			return true;
	}
	return is_everything;
}

/* Some C libraries lack a function for this call, and the kernel's header conflicts with theirs. */
unsigned int cached_mode(const char *path)
{
	struct statx found;
	return syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MODE, &found) < 0 ? 0 :
												found.stx_mode;
}
