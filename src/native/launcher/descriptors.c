/* Descriptors: what they could reach outside, and how they are passed between processes. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Default of fs.nr_open (sysctl(8)). */
enum { MOST_DESCRIPTORS = 1 << 20 };

static void close_between(unsigned int first, unsigned int last)
{
	struct rlimit limit;

	if (first > last || syscall(SYS_close_range, first, last, 0U) == 0)
		return;
	/* Not known to Linux before 5.9. */
	if (errno != ENOSYS || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die_errno("close file descriptors", NULL);
	for (rlim_t fd = first; fd <= last && fd < limit.rlim_max && fd < MOST_DESCRIPTORS; fd++)
		close((int)fd);
}

static int by_value(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* A descriptor of a directory outside would be a way out of the jail (CVE-2024-21626). */
void close_others(unsigned int first, const struct descriptors *kept)
{
	if (kept->count > 1)
		qsort(kept->items, kept->count, sizeof(int), by_value);
	for (size_t i = 0; i < kept->count; i++) {
		unsigned int fd = (unsigned int)kept->items[i];
		if (fd < first)
			continue;
		close_between(first, fd - 1);
		first = fd + 1;
	}
	close_between(first, ~0U);
}

/* They are passed to the command, so files opened by the launcher must not take their numbers. */
void open_standard_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			die_errno("open", "/dev/null");
}

void refuse_directories(void)
{
	struct stat stat;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode))
			die("a standard stream is a directory outside the jail: redirect it", NULL);
}

int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof(address.sun_path))
		die("the socket path is too long", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die_errno("connect to", path);
	return fd;
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

void send_descriptor(int channel, int fd)
{
	char byte = 0;
	struct iovec data = { &byte, 1 };
	union control control = { 0 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (fd < 0)
		message.msg_controllen = 0;
	if (sendmsg(channel, &message, MSG_NOSIGNAL) < 0)
		die_errno("send a descriptor", NULL);
}

int receive_descriptor(int channel)
{
	char byte;
	struct iovec data = { &byte, 1 };
	union control control = { 0 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;
	if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) <= 0 || message.msg_controllen == 0 ||
	    control.header.cmsg_len != CMSG_LEN(sizeof(int)) || control.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

bool has_input_file(void)
{
	struct stat stat;
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && fstat(STDIN_FILENO, &stat) == 0 &&
	       S_ISREG(stat.st_mode);
}

/*
 * A process with a descriptor open for reading can reopen the file for writing through /proc/self/fd if its mode
 * allows, and root in the jail may be root outside. Below a read-only mount, the file is read-only for everyone. A file
 * without a path here is left alone: only holders of the descriptor can reach it.
 */
int protect_input(void)
{
	char path[PATH_MAX], link[32];
	struct stat given, found;
	ssize_t length = readlink("/proc/self/fd/0", path, sizeof(path) - 1);
	if (length <= 0 || fstat(STDIN_FILENO, &given) < 0)
		return -1;
	path[length] = '\0';
	scoped_fd tree = clone_mount(AT_FDCWD, path);
	if (tree < 0 || fstat(tree, &found) < 0 || found.st_dev != given.st_dev || found.st_ino != given.st_ino)
		return -1;
	set_attributes(tree, ATTRIBUTE_READ_ONLY, path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", tree);
	int input = open(link, O_RDONLY | O_CLOEXEC);
	/* The caller who opened it may read it, and this process may not. */
	if (input < 0)
		return -1;
	if (lseek(input, lseek(STDIN_FILENO, 0, SEEK_CUR), SEEK_SET) < 0 || dup2(input, STDIN_FILENO) < 0)
		die_errno("reopen the standard input", NULL);
	return input;
}
