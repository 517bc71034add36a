/* What of the outside could be reached through the launcher itself: its descriptors and its file. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What fs.nr_open of sysctl(8) allows unless it was raised. */
enum { MOST_DESCRIPTORS = 1 << 20 };

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

void close_from(unsigned int first)
{
	struct rlimit limit;

	if (syscall(SYS_close_range, first, ~0U, 0U) == 0)
		return;
	/* Linux before 5.9 does not know it. */
	if (errno != ENOSYS || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die_errno("close file descriptors", NULL);
	for (rlim_t fd = first; fd < limit.rlim_max && fd < MOST_DESCRIPTORS; fd++)
		close((int)fd);
}

/*
 * A descriptor to a directory outside would be a way out of the jail (CVE-2024-21626). The standard
 * streams are given to the command, and must not be what the launcher opens for itself.
 */
void close_inherited(unsigned int first)
{
	close_from(first);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			die_errno("open", "/dev/null");
}

void refuse_directories(void)
{
	struct stat stat;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode))
			die("a standard stream is a directory outside of the jail", NULL);
}

/*
 * A process in the jail may open the file of a program that runs there, by /proc/PID/exe, and write to
 * it as soon as nobody runs it: were the launcher one of these, the next to start it would run what the
 * jail has put there (CVE-2019-5736). So the launcher executes itself from a copy in memory that
 * nobody can write to.
 */
void run_sealed_copy(char **argv)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat stat;
	char *none[] = { NULL };

	if (self < 0 || fstat(self, &stat) < 0)
		die_errno("open", "/proc/self/exe");
	int seals = fcntl(self, F_GET_SEALS);
	if (seals >= 0 && (seals & F_SEAL_WRITE)) {
		close(self);
		/* It was the number of a descriptor. */
		prctl(PR_SET_NAME, "invoke_ns");
		return;
	}

	int copy = (int)syscall(SYS_memfd_create, "invoke_ns", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	/* Linux before 6.3 does not know MFD_EXEC, and has no need of it. */
	if (copy < 0 && errno == EINVAL)
		copy = (int)syscall(SYS_memfd_create, "invoke_ns", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		die_errno("make a copy of the launcher", NULL);
	for (off_t left = stat.st_size; left > 0;) {
		ssize_t sent = sendfile(copy, self, NULL, (size_t)left);
		if (sent <= 0)
			die_errno("copy the launcher", NULL);
		left -= sent;
	}
	if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		die_errno("seal the copy of the launcher", NULL);
	/* Nothing here looks at the environment after this. */
	syscall(SYS_execveat, copy, "", argv, none, AT_EMPTY_PATH);
	die_errno("execute the copy of the launcher", NULL);
}
