/* Reports to supervisors, and descriptors by which they hold the jail. The formats are bubblewrap's. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *file, *key;
} namespaces[] = {
	{ "cgroup", "cgroup-namespace" }, { "ipc", "ipc-namespace" },	{ "mnt", "mnt-namespace" },
	{ "net", "net-namespace" },	  { "pid", "pid-namespace" },	{ "time", "time-namespace" },
	{ "user", "user-namespace" },	  { "uts", "uts-namespace" },
};

static void write_line(int fd, const char *line)
{
	size_t length = strlen(line);
	if (write(fd, line, length) != (ssize_t)length && errno != EPIPE)
		die_errno("write the status", NULL);
}

bool reports_jail(const struct options *options)
{
	return options->info_fd >= 0 || options->status_fd >= 0 || options->detach;
}

void write_info(const struct options *options, pid_t child)
{
	char line[640], path[64];
	struct stat stat;
	int length = snprintf(line, sizeof(line), "{ \"child-pid\": %ld", (long)child);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%ld/ns/%s", (long)child, namespaces[i].file);
		if (fstatat(AT_FDCWD, path, &stat, 0) == 0)
			length += snprintf(line + length, sizeof(line) - (size_t)length, ", \"%s\": %llu",
					   namespaces[i].key, (unsigned long long)stat.st_ino);
	}
	snprintf(line + length, sizeof(line) - (size_t)length, " }\n");
	if (options->info_fd >= 0) {
		write_line(options->info_fd, line);
		close(options->info_fd);
	}
	if (options->status_fd >= 0)
		write_line(options->status_fd, line);
}

/* Shared with the process of the command until it executes it: a filter could forbid any other report. */
static bool *has_failed;

void expect_failures(const struct options *options)
{
	if (options->status_fd < 0)
		return;
	has_failed = mmap(NULL, sizeof(*has_failed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (has_failed == MAP_FAILED)
		die_errno("allocate memory", NULL);
}

void note_failure(void)
{
	if (has_failed != NULL)
		*has_failed = true;
}

void write_exit_status(const struct options *options, int status)
{
	char line[64];
	if (options->status_fd < 0 || *has_failed)
		return;
	snprintf(line, sizeof(line), "{ \"exit-code\": %d }\n", status);
	write_line(options->status_fd, line);
}

/* Record locks belong to a process, and the first process lasts as long as the jail (fcntl(2)). */
void take_locks(struct options *options)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	for (size_t i = 0; i < options->lock_files.count; i++) {
		const char *path = options->lock_files.items[i];
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0)
			die_errno("lock", path);
		/* Closing it would release the lock. */
		add_descriptor(&options->held, fd);
	}
}

void wait_until_unblocked(const struct options *options)
{
	char byte;
	if (options->block_fd < 0)
		return;
	log_step("waiting for descriptor %d", options->block_fd);
	/* Signals are held until the command starts, which may never be. */
	scoped_fd ends = open_ends();
	struct pollfd polls[] = { { options->block_fd, POLLIN, 0 }, { ends, POLLIN, 0 } };
	struct signalfd_siginfo info;
	while (poll(polls, 2, -1) < 0)
		if (errno != EINTR)
			die_errno("wait for the descriptor of --block-fd", NULL);
	if ((polls[1].revents & POLLIN) && read(ends, &info, sizeof(info)) == sizeof(info))
		_exit(128 + (int)info.ssi_signo);
	while (read(options->block_fd, &byte, 1) < 0)
		if (errno != EINTR)
			die_errno("wait for the descriptor of --block-fd", NULL);
	close(options->block_fd);
}
