/* The user namespace and its ID maps (user_namespaces(7)). */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel accepts more; each line has at most 48 characters. */
enum { MOST_MAPS = 64 };

static bool try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int reason = errno;
	close(fd);
	errno = reason;
	return written;
}

/* Parses INSIDE:OUTSIDE:COUNT. Returns false for invalid text. */
static bool parse_map(const char *text, long long numbers[3])
{
	char copy[64];
	if (strlen(text) >= sizeof(copy))
		return false;
	char *rest = strcpy(copy, text);
	for (int i = 0; i < 3; i++) {
		const char *number = strsep(&rest, ":");
		numbers[i] = number == NULL ? -1 : parse_number(number, 10);
		if (numbers[i] < 0)
			return false;
	}
	return rest == NULL;
}

static void read_map(const char *text, long long map[3])
{
	if (!parse_map(text, map))
		die("a map is INSIDE:OUTSIDE:COUNT, not", text);
}

static _Noreturn void execute_helper(const char *path, const struct list *maps, pid_t child)
{
	char pid[24], numbers[MOST_MAPS][3][24], *arguments[3 * MOST_MAPS + 3] = { NULL };
	char name[64], *none[] = { NULL };
	size_t count = 0;
	long long map[3];

	snprintf(name, sizeof(name), "%s", path);
	snprintf(pid, sizeof(pid), "%ld", (long)child);
	arguments[count++] = name;
	arguments[count++] = pid;
	for (size_t i = 0; i < maps->count; i++) {
		read_map(maps->items[i], map);
		for (int field = 0; field < 3; field++) {
			snprintf(numbers[i][field], sizeof(numbers[i][field]), "%lld", map[field]);
			arguments[count++] = numbers[i][field];
		}
	}
	release_signals();
	execve(path, arguments, none);
	die_errno("execute", path);
}

/*
 * newuidmap(1) and newgidmap(1) read a user's ranges from /etc/subuid and /etc/subgid. They are called by full path,
 * since the caller controls PATH.
 */
static void run_helper(const char *path, const struct list *maps, pid_t child)
{
	int status;
	log_step("running %s", path);
	pid_t process = fork();
	if (process < 0)
		die_errno("run", path);
	if (process == 0)
		execute_helper(path, maps, child);
	while (waitpid(process, &status, 0) < 0)
		if (errno != EINTR)
			die_errno("wait for", path);
	if (status != 0)
		die("the user or group ranges were refused by", path);
}

static void write_maps(const char *file, const char *helper, const struct list *maps, id_t own, pid_t child)
{
	char path[64], text[MOST_MAPS * 64];
	size_t length = 0;
	long long map[3];

	if (maps->count > MOST_MAPS)
		die("there are too many maps of users or groups", NULL);
	for (size_t i = 0; i < maps->count; i++) {
		read_map(maps->items[i], map);
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%lld %lld %lld\n", map[0],
					   map[1], map[2]);
	}
	/* Without privileges, a user may map only itself and needs the helpers for more. */
	bool only_self = maps->count == 1 && map[1] == (long long)own && map[2] == 1;
	if (geteuid() != 0 && !only_self) {
		run_helper(helper, maps, child);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)child, file);
	log_step("writing %s", path);
	if (!try_write(path, text))
		die_errno("write", path);
}

void write_id_maps(pid_t child, const struct options *options)
{
	char path[64], uid_map[64], gid_map[64];
	const char *uid = uid_map, *gid = gid_map;
	struct list uids = { &uid, 1 }, gids = { &gid, 1 };

	snprintf(uid_map, sizeof(uid_map), "0:%ld:1", (long)geteuid());
	snprintf(gid_map, sizeof(gid_map), "0:%ld:1", (long)getegid());
	if (options->uid_maps.count > 0) {
		uids = options->uid_maps;
		gids = options->gid_maps;
	}
	/* A user who could drop a group would escape permissions denied to it. */
	if (geteuid() != 0 && gids.count == 1) {
		snprintf(path, sizeof(path), "/proc/%ld/setgroups", (long)child);
		if (!try_write(path, "deny"))
			die_errno("write", path);
	}
	write_maps("gid_map", "/usr/bin/newgidmap", &gids, getegid(), child);
	write_maps("uid_map", "/usr/bin/newuidmap", &uids, geteuid(), child);
}

static bool maps_root(const struct list *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		if (strncmp(maps->items[i], "0:", 2) == 0)
			return true;
	return maps->count == 0;
}

bool has_other_root(const struct options *options)
{
	long long map[3];
	for (size_t i = 0; i < options->uid_maps.count; i++)
		if (parse_map(options->uid_maps.items[i], map) && map[0] == 0)
			return map[1] != (long long)geteuid();
	return false;
}

/* If the namespace has a root, that user owns the files that the launcher creates. */
void become_mapped_root(const struct options *options)
{
	if (maps_root(&options->gid_maps) && setresgid(0, 0, 0) < 0)
		die_errno("become the group of root in the user namespace", NULL);
	if (maps_root(&options->uid_maps) && setresuid(0, 0, 0) < 0)
		die_errno("become root in the user namespace", NULL);
}
