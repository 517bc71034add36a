/*
 * Finds running jails by their launchers, as launcher/running.ts does: processes of this PID namespace that execute the
 * launcher's program. A name set by a process inside a jail has no influence.
 */
#define _GNU_SOURCE
#include "run.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads a whole file of /proc, and ends it with a NUL; returns NULL if it cannot. */
static char *read_all(const char *path, size_t *size)
{
	size_t room = 0;
	char *text = NULL;
	ssize_t got = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*size = 0;
	while (fd >= 0 && got > 0) {
		if (room - *size < 2) {
			room = room == 0 ? 4096 : 2 * room;
			char *larger = realloc(text, room);
			if (larger == NULL)
				fail(1, "out of memory");
			text = larger;
		}
		got = read(fd, text + *size, room - *size - 1);
		*size += got > 0 ? (size_t)got : 0;
	}
	if (fd >= 0)
		close(fd);
	if (fd < 0 || got < 0) {
		free(text);
		return NULL;
	}
	text[*size] = '\0';
	return text;
}

/* Reads a link of a process; returns false if it cannot. */
static bool read_link(const char *process, const char *name, char text[PATH_MAX])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", process, name);
	ssize_t length = readlink(path, text, PATH_MAX - 1);
	if (length < 0)
		return false;
	text[length] = '\0';
	return true;
}

/* Returns the first PIDs of a list with blanks between them: at most `most`, each at most as long as PIDs are. */
static size_t take_pids(const char *text, char pids[][24], size_t most)
{
	size_t count = 0;

	while (count < most) {
		text += strspn(text, " \n");
		size_t length = strspn(text, "0123456789");
		if (length == 0 || length >= sizeof(pids[0]))
			break;
		snprintf(pids[count++], sizeof(pids[0]), "%.*s", (int)length, text);
		text += length;
	}
	return count;
}

static char *children_of(const char *process)
{
	char path[96];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/children", process, process);
	return read_all(path, &size);
}

static bool has_mounts(const char *process, char text[PATH_MAX])
{
	return read_link(process, "ns/mnt", text);
}

/*
 * Finds the first process, or its first child, whose namespaces can be entered. Only root can access the first process;
 * other users enter through the jail's command.
 */
static bool find_entry(const char *init, char entry[24], char mounts[PATH_MAX])
{
	char *children = children_of(init), child[1][24];

	if (children == NULL)
		return false;
	snprintf(entry, 24, "%s", init);
	bool found = has_mounts(init, mounts);
	for (char *at = children; !found && take_pids(at, child, 1) == 1; at = strstr(at, child[0]) + strlen(child[0])) {
		snprintf(entry, 24, "%s", child[0]);
		found = has_mounts(child[0], mounts);
	}
	free(children);
	return found;
}

/* Reads a process's start time (proc_pid_stat(5), field 22). */
static bool read_start(const char *process, char start[24])
{
	char path[64];
	size_t size, length;

	snprintf(path, sizeof(path), "/proc/%s/stat", process);
	char *text = read_all(path, &size);
	/* The second field is the program's name, which may contain blanks and parentheses. */
	const char *field = text == NULL ? NULL : strrchr(text, ')');
	for (int i = 2; field != NULL && i < 22; i++)
		field = strchr(field + 1, ' ');
	length = field == NULL ? 0 : strspn(field + 1, "0123456789");
	if (length > 0 && length < 24)
		snprintf(start, 24, "%.*s", (int)length, field + 1);
	free(text);
	return length > 0 && length < 24;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t size = strlen(end);

	return length >= size && strncmp(text + length - size, end, size) == 0;
}

static bool is_launcher(const char *program)
{
	static const char gone[] = " (deleted)";
	size_t length = strlen(program);

	if (ends_with(program, length, gone))
		length -= strlen(gone);
	/* `/memfd:invoke_ns`, or a file in a directory. */
	return ends_with(program, length, "/invoke_ns") ? *program == '/' && length > strlen("/invoke_ns") :
							  length == strlen("/memfd:invoke_ns") &&
								  strncmp(program, "/memfd:invoke_ns", length) == 0;
}

/* Divides the command line; returns false without an option for the root. */
static bool read_words(const char *process, struct jail *jail)
{
	char path[64];
	size_t size, count = 0;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", process);
	char *text = read_all(path, &size);
	for (size_t i = 0; text != NULL && i < size; i++)
		count += text[i] == '\0';
	/* Without a NUL at the end, it is not a launcher's. */
	if (count == 0 || text[size - 1] != '\0')
		return false;
	jail->words = (struct list){ 0, calloc(count + 1, sizeof(char *)) };
	if (jail->words.items == NULL)
		fail(1, "out of memory");
	for (char *word = text + strlen(text) + 1; word < text + size; word += strlen(word) + 1)
		add(&jail->words, word);
	jail->root = NULL;
	for (size_t i = 0; i < jail->words.count && jail->root == NULL; i++) {
		if (strcmp(jail->words.items[i], "-c") == 0)
			jail->root = i + 1 < jail->words.count ? jail->words.items[i + 1] : "";
	}
	return jail->root != NULL && *jail->root != '\0';
}

static bool is_own(const char *process)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%s", process);
	/* What another user's process says of itself is not for this user to follow. */
	return stat(path, &status) == 0 && status.st_uid == geteuid();
}

static bool read_jail(const char *process, struct jail *jail)
{
	char text[PATH_MAX], own[PATH_MAX], init[1][24];

	if (!is_own(process) || !read_link(process, "exe", text) || !is_launcher(text) ||
	    !read_link(process, "ns/pid", text) || !read_link("self", "ns/pid", own) || strcmp(text, own) != 0 ||
	    !read_words(process, jail))
		return false;
	char *children = children_of(process);
	size_t count = children == NULL ? 0 : take_pids(children, init, 1);
	free(children);
	/* A launcher that has not entered its namespaces yet, or needs none, has no jail. */
	if (count == 0 || !find_entry(init[0], jail->entry, text) || !read_link(process, "ns/mnt", own) ||
	    strcmp(text, own) == 0 || !read_start(jail->entry, jail->start))
		return false;
	jail->pid = atol(process);
	jail->init = atol(init[0]);
	return true;
}

static bool is_named(const struct jail *jail, const char *name)
{
	return *name == '/' ? strcmp(jail->root, name) == 0 : jail->pid == atol(name) || jail->init == atol(name);
}

bool find_jail(const char *name, struct jail *jail)
{
	DIR *processes = opendir("/proc");
	struct jail one;
	size_t found = 0;

	if (processes == NULL)
		return false;
	for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
		size_t digits = strspn(entry->d_name, "0123456789");
		if (digits == 0 || entry->d_name[digits] != '\0' || digits > 9)
			continue;
		if (!read_jail(entry->d_name, &one) || !is_named(&one, name))
			continue;
		*jail = one;
		found++;
	}
	closedir(processes);
	return found == 1;
}
