/*
 * Joins existing namespaces, by path or of a running jail. The launcher joins before it creates its child, since a PID
 * namespace applies to children only (setns(2)).
 *
 * A jail to be joined may be hostile. The launcher therefore makes itself non-dumpable before entering (CVE-2016-9962),
 * runs from a copy that cannot be written to (--sealed, CVE-2019-5736), holds no descriptors of the outside and
 * verifies that its working directory is inside (CVE-2024-21626).
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
	const char *name;
	int flag;
} kinds[] = {
	{ "user", CLONE_NEWUSER }, { "cgroup", CLONE_NEWCGROUP }, { "ipc", CLONE_NEWIPC },
	{ "net", CLONE_NEWNET },   { "pid", CLONE_NEWPID },	  { "time", CLONE_NEWTIME },
	{ "uts", CLONE_NEWUTS },   { "mnt", CLONE_NEWNS },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), USER = 0 };

/* Becomes root of the namespace, which then owns what it creates; without a root there, the user stays the same. */
static void become_root_there(void)
{
	if ((setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) && errno != EINVAL)
		die_errno("become root in the user namespace", NULL);
}

static size_t kind_of(const char *text, const char **path)
{
	for (size_t kind = 0; kind < KINDS; kind++) {
		size_t length = strlen(kinds[kind].name);
		if (strncmp(text, kinds[kind].name, length) == 0 && text[length] == '=') {
			*path = text + length + 1;
			return kind;
		}
	}
	die("--namespace takes TYPE=PATH with TYPE user, pid, net, ipc, uts, cgroup or time, not", text);
}

void join_paths(const struct options *options)
{
	int fds[KINDS];
	const char *paths[KINDS] = { NULL };
	for (size_t i = 0; i < options->joined.count; i++) {
		const char *path;
		size_t kind = kind_of(options->joined.items[i], &path);
		if (kinds[kind].flag == CLONE_NEWNS)
			die("a mount namespace cannot be joined by its path: use --join", path);
		paths[kind] = path;
		fds[kind] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fds[kind] < 0)
			die_errno("open the namespace", path);
	}
	/*
	 * Either the present user namespace or the one to join may grant the right to join the others (user_namespaces(7)).
	 */
	for (int round = 0; round < 2; round++) {
		for (size_t kind = KINDS; kind-- > 0;) {
			if (paths[kind] == NULL)
				continue;
			if (round == 0 && kind == USER) {
				if (setns(fds[kind], CLONE_NEWUSER) < 0)
					die_errno("join the namespace", paths[kind]);
				become_root_there();
			} else if (setns(fds[kind], kinds[kind].flag) < 0) {
				if (round == 1 || paths[USER] == NULL)
					die_errno("join the namespace", paths[kind]);
				continue;
			}
			log_step("joined the namespace %s", paths[kind]);
			close(fds[kind]);
			paths[kind] = NULL;
		}
	}
}

static ino_t namespace_of(const char *process, const char *kind)
{
	char path[64];
	struct stat stat;
	snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, kind);
	return fstatat(AT_FDCWD, path, &stat, 0) == 0 ? stat.st_ino : 0;
}

/* Returns a process's start time, which with its number identifies it (proc_pid_stat(5), field 22). */
static unsigned long long start_of(const char *process)
{
	char path[64], line[1024];
	unsigned long long start = 0;
	snprintf(path, sizeof(path), "/proc/%s/stat", process);
	scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	line[length > 0 ? length : 0] = '\0';
	char *field = strrchr(line, ')');
	for (int i = 2; field != NULL && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field != NULL)
		start = strtoull(field, NULL, 10);
	return start;
}

void join_process(const struct options *options)
{
	char process[24];
	const char *start = strchr(options->join, ':');
	snprintf(process, sizeof(process), "%.*s", (int)strcspn(options->join, ":"), options->join);
	long long number = parse_number(process, 10);
	scoped_fd pidfd = number <= 0 ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
	if (pidfd < 0)
		die_errno("find the process", options->join);
	if (start != NULL && start_of(process) != strtoull(start + 1, NULL, 10))
		die("the jail has ended, and its process number is in use again", process);
	find_cgroups_of(process);
	int flags = 0;
	for (size_t kind = 0; kind < KINDS; kind++) {
		ino_t there = namespace_of(process, kinds[kind].name);
		if (there != 0 && there != namespace_of("self", kinds[kind].name))
			flags |= kinds[kind].flag;
	}
	if (flags == 0)
		die("the process has no namespaces of its own, or you may not inspect it", process);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die_errno("protect this process from others", NULL);
	log_step("entering the namespaces of process %s", process);
	if (setns(pidfd, flags) < 0)
		die_errno("enter the namespaces of process", process);
	if (flags & CLONE_NEWUSER)
		become_root_there();
	/* The process is still alive, so everything read above was its own. */
	struct pollfd alive = { pidfd, POLLIN, 0 };
	if (poll(&alive, 1, 0) != 0)
		die("the jail has ended", process);
}
