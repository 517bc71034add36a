/*
 * Limits by cgroup: version 2, or version 1 where the host mounts its hierarchies (cgroups(7)). A cgroup is created for
 * the run and removed afterwards.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define TOP "/sys/fs/cgroup"
enum { MOST_GROUPS = 16, REMOVAL_TRIES = 100, ABANDONED_SECONDS = 60 };

struct group {
	char path[PATH_MAX];
	/* Open to its cgroup.procs. */
	int processes;
	/* Whether the launcher created it and must remove it. */
	bool is_ours;
};
static struct group *groups[MOST_GROUPS];
static size_t group_count;
static pid_t owner;

static void write_value(const char *group, const char *file, const char *value)
{
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "%s/%s", group, file);
	log_step("writing %s to %s", value, path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die_advised("limit by cgroup: write", path, delegation_advice());
	close(fd);
}

static bool has_file(const char *group, const char *file)
{
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "%s/%s", group, file);
	return access(path, F_OK) == 0;
}

/* Finds this process's cgroup in a version 1 hierarchy, or in version 2, whose line names no controller. */
static void own_group(const char *controller, char path[PATH_MAX])
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (file == NULL)
		die_errno("open", "/proc/self/cgroup");
	strcpy(path, "/");
	while (getline(&line, &size, file) > 0) {
		char *rest = line;
		strsep(&rest, ":");
		char *names = strsep(&rest, ":");
		if (names == NULL || rest == NULL)
			continue;
		rest[strcspn(rest, "\n")] = '\0';
		bool found = *controller == '\0' && *names == '\0';
		for (char *name = strsep(&names, ","); name != NULL; name = strsep(&names, ","))
			found = found || (*controller != '\0' && strcmp(name, controller) == 0);
		if (found)
			snprintf(path, PATH_MAX, "%s", rest);
	}
	free(line);
	fclose(file);
}

static void open_group(const char *directory)
{
	char path[PATH_MAX + 16];
	if (group_count == MOST_GROUPS)
		die("limit by cgroup: too many groups", directory);
	groups[group_count] = allocate(sizeof(*groups[0]));
	snprintf(groups[group_count]->path, PATH_MAX, "%s", directory);
	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	groups[group_count]->processes = open(path, O_WRONLY | O_CLOEXEC);
	if (groups[group_count]->processes < 0)
		die_advised("limit by cgroup: open", path, delegation_advice());
	group_count++;
}

/* Converts a line of /proc/PID/cgroup into a directory; for version 2, below its mount point. */
static void directory_of(char *line, char directory[PATH_MAX])
{
	char *rest = line;
	strsep(&rest, ":");
	const char *names = strsep(&rest, ":");
	const char *path = rest != NULL ? rest : "/";
	if (names == NULL || *names == '\0')
		names = access(TOP "/unified", F_OK) == 0 ? "unified" : ".";
	if (strncmp(names, "name=", 5) == 0)
		names += 5;
	snprintf(directory, PATH_MAX, TOP "/%s%s", names, strcmp(path, "/") == 0 ? "" : path);
	directory[strcspn(directory, "\n")] = '\0';
}

void find_cgroups_of(const char *process)
{
	char path[64], directory[PATH_MAX], *line = NULL, *own = NULL;
	size_t size = 0, own_size = 0;
	snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
	FILE *theirs = fopen(path, "re"), *ours = fopen("/proc/self/cgroup", "re");
	if (theirs == NULL || ours == NULL)
		die_errno("open", path);
	/* Both list the same hierarchies in the same order. */
	while (getline(&line, &size, theirs) > 0 && getline(&own, &own_size, ours) > 0) {
		if (strcmp(line, own) == 0)
			continue;
		directory_of(line, directory);
		/* Other cgroups, such as those of another session, do not limit the jail and may not be joinable. */
		bool is_limit = strstr(directory, "/jail-") != NULL;
		if (geteuid() == 0 || is_limit || access(directory, W_OK) == 0)
			open_group(directory);
	}
	free(line);
	free(own);
	fclose(theirs);
	fclose(ours);
}

/*
 * Removes the cgroups of launchers that were killed. Those with processes stay. A recent one may belong to a launcher of
 * another PID namespace, whose child has not joined it yet.
 */
static void remove_left_groups(const char *parent)
{
	DIR *groups_of_parent = opendir(parent);
	if (groups_of_parent == NULL)
		return;
	for (const struct dirent *entry; (entry = readdir(groups_of_parent)) != NULL;) {
		struct stat stat;
		long long pid = strncmp(entry->d_name, "jail-", 5) == 0 ? parse_number(entry->d_name + 5, 10) : -1;
		if (pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		if (fstatat(dirfd(groups_of_parent), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
		    time(NULL) - stat.st_mtime < ABANDONED_SECONDS)
			continue;
		log_step("removing the cgroup %s/%s of a launcher that was killed", parent, entry->d_name);
		unlinkat(dirfd(groups_of_parent), entry->d_name, AT_REMOVEDIR);
	}
	closedir(groups_of_parent);
}

static const char *make_group(const char *parent)
{
	char path[PATH_MAX + 64];
	groups[group_count] = allocate(sizeof(*groups[0]));
	char *group = groups[group_count]->path;

	remove_left_groups(parent);
	if (snprintf(group, PATH_MAX, "%s/jail-%ld", parent, (long)owner) >= PATH_MAX)
		die("limit by cgroup: the path is too long", parent);
	log_step("making the cgroup %s", group);
	/* A cgroup of this name remains from a launcher that was killed. */
	if (mkdir(group, 0755) < 0 && (errno != EEXIST || rmdir(group) < 0 || mkdir(group, 0755) < 0))
		die_advised("limit by cgroup: make", group, delegation_advice());
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	groups[group_count]->is_ours = true;
	groups[group_count]->processes = open(path, O_WRONLY | O_CLOEXEC);
	if (groups[group_count++]->processes < 0)
		die_errno("limit by cgroup: open", path);
	return group;
}

static const char *make_v1_group(const char *controller)
{
	char own[PATH_MAX], parent[PATH_MAX + sizeof(TOP) + 16];
	own_group(controller, own);
	snprintf(parent, sizeof(parent), TOP "/%s%s", controller, strcmp(own, "/") == 0 ? "" : own);
	/* In a container, the path may be the one outside. */
	if (!has_file(parent, "cgroup.procs"))
		snprintf(parent, sizeof(parent), TOP "/%s", controller);
	return make_group(parent);
}

static void limit_v1(const struct options *options)
{
	if (options->memory != NULL) {
		const char *group = make_v1_group("memory");
		write_value(group, "memory.limit_in_bytes", options->memory);
		if (has_file(group, "memory.memsw.limit_in_bytes"))
			write_value(group, "memory.memsw.limit_in_bytes", options->memory);
	}
	if (options->pids != NULL)
		write_value(make_v1_group("pids"), "pids.max", options->pids);
	if (options->cpu_quota != NULL) {
		const char *group = make_v1_group("cpu");
		write_value(group, "cpu.cfs_period_us", "100000");
		write_value(group, "cpu.cfs_quota_us", options->cpu_quota);
	}
}

/*
 * A cgroup with processes cannot delegate controllers, so the new one is a sibling of the launcher's; or at the top, if
 * root may create it there.
 */
static void limit_v2(const struct options *options)
{
	char own[PATH_MAX], parent[PATH_MAX + sizeof(TOP)] = TOP, value[64];
	if (geteuid() != 0) {
		own_group("", own);
		*strrchr(own, '/') = '\0';
		snprintf(parent, sizeof(parent), TOP "%s", own);
	}
	if (options->memory != NULL)
		write_value(parent, "cgroup.subtree_control", "+memory");
	if (options->pids != NULL)
		write_value(parent, "cgroup.subtree_control", "+pids");
	if (options->cpu_quota != NULL)
		write_value(parent, "cgroup.subtree_control", "+cpu");

	const char *group = make_group(parent);
	if (options->memory != NULL) {
		write_value(group, "memory.max", options->memory);
		if (has_file(group, "memory.swap.max"))
			write_value(group, "memory.swap.max", "0");
	}
	if (options->pids != NULL)
		write_value(group, "pids.max", options->pids);
	if (options->cpu_quota != NULL) {
		snprintf(value, sizeof(value), "%s 100000", options->cpu_quota);
		write_value(group, "cpu.max", value);
	}
}

void make_cgroup(const struct options *options)
{
	struct statfs status;
	for (size_t i = 0; i < options->cgroup_directories.count; i++)
		open_group(options->cgroup_directories.items[i]);
	if (options->memory == NULL && options->pids == NULL && options->cpu_quota == NULL)
		return;
	owner = getpid();
	at_failure(remove_cgroup);
	if (statfs(TOP, &status) < 0)
		die_errno("limit by cgroup: look at", TOP);
	if (status.f_type == CGROUP2_SUPER_MAGIC)
		limit_v2(options);
	else
		limit_v1(options);
}

void join_cgroup(void)
{
	for (size_t i = 0; i < group_count; i++) {
		log_step("joining the cgroup %s", groups[i]->path);
		if (write(groups[i]->processes, "0", 1) < 0)
			die_advised("limit by cgroup: join", groups[i]->path, delegation_advice());
		close(groups[i]->processes);
	}
}

/* A cgroup is busy until the kernel has finished with its last process. */
void remove_cgroup(void)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	if (getpid() != owner)
		return;
	while (group_count > 0) {
		const char *group = groups[--group_count]->path;
		if (!groups[group_count]->is_ours)
			continue;
		int tries = 0;
		while (rmdir(group) < 0 && errno == EBUSY && tries++ < REMOVAL_TRIES)
			nanosleep(&moment, NULL);
		if (access(group, F_OK) == 0)
			fprintf(stderr, "invoke_ns: remove the cgroup %s: %s\n", group, strerror(EBUSY));
	}
}
