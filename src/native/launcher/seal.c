/* Prevents access to the outside through the launcher's own executable. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

/*
 * If vm.memfd_noexec=2 forbids executing files in memory, an unnamed file is used. Writing to it affects nothing
 * started later.
 */
static int unnamed_file(void)
{
	static const char *const directories[] = { "/run", "/tmp", "/var/tmp", "/dev/shm" };
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		struct statvfs status;
		if (statvfs(directories[i], &status) < 0 || (status.f_flag & ST_NOEXEC))
			continue;
		int fd = open(directories[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
		if (fd >= 0)
			return fd;
	}
	errno = EACCES;
	return -1;
}

/* A file open for writing cannot be executed (execve(2), ETXTBSY). */
static int reopened(int fd)
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	int reader = open(link, O_RDONLY | O_CLOEXEC);
	close(fd);
	return reader;
}

/*
 * A process in the jail can open the executable of a running program through /proc/PID/exe and write to it once it is
 * no longer running. If that were the launcher, its next user would run the jail's code (CVE-2019-5736). The launcher
 * therefore re-executes itself from a sealed copy in memory.
 */
void run_sealed_copy(char **argv)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat stat;
	bool is_sealed = true;

	if (self < 0 || fstat(self, &stat) < 0)
		die_errno("open", "/proc/self/exe");
	/* This is the copy, which has no name and cannot be started again. */
	if (stat.st_nlink == 0) {
		close(self);
		/* The name was the number of a descriptor. */
		prctl(PR_SET_NAME, "invoke_ns");
		return;
	}

	int copy = (int)syscall(SYS_memfd_create, "invoke_ns", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	/* Linux before 6.3 does not know MFD_EXEC and does not need it. */
	if (copy < 0 && errno == EINVAL)
		copy = (int)syscall(SYS_memfd_create, "invoke_ns", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0 && errno == EACCES) {
		is_sealed = false;
		copy = unnamed_file();
	}
	if (copy < 0)
		die_advised("make a copy of the launcher", NULL,
			    "set vm.memfd_noexec to 1, or mount /run, /tmp or /var/tmp without noexec");
	for (off_t left = stat.st_size; left > 0;) {
		ssize_t sent = sendfile(copy, self, NULL, (size_t)left);
		if (sent <= 0)
			die_errno("copy the launcher", NULL);
		left -= sent;
	}
	if (!is_sealed && (copy = reopened(copy)) < 0)
		die_errno("reopen the copy of the launcher", NULL);
	if (is_sealed && fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		die_errno("seal the copy of the launcher", NULL);
	syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	die_errno("execute the copy of the launcher", NULL);
}
