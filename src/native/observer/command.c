/*
 * Starts the command. It waits, stopped, until it is traced and the filter is in place, and is executed only then.
 * Under the launcher, it is a process of a jail that announces itself over a socket.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
/* Since Linux 5.19. */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* The launcher's end of the socket. */
enum { LAUNCHER_DESCRIPTOR = 3 };

/* Without CAP_SYS_ADMIN, the kernel accepts a filter only with no_new_privs. */
static int install(const struct sock_fprog *filter, unsigned int flags)
{
	int result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
	if (result < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
	if (result < 0 && errno == EINVAL && (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV))
		return install(filter, flags & ~(unsigned int)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (result < 0 && errno == EBUSY)
		give_up("its system calls already have a listener: use --mechanism ptrace");
	if (result < 0)
		give_up("the kernel refuses a system call filter (%s): allow seccomp, which a sandbox may deny",
			strerror(errno));
	return result;
}

/*
 * Flags of the filter: do not enable the speculation mitigations of older kernels, which slow the command down; and
 * defer signals until the observer has answered.
 */
static unsigned int flags_of(const struct options *options)
{
	return options->mechanism == BY_PTRACE ?
		       SECCOMP_FILTER_FLAG_SPEC_ALLOW :
		       SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER |
			       SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
}

union descriptor_message {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int channel, int descriptor)
{
	union descriptor_message control = { 0 };
	struct iovec data = { "", 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(descriptor));
	memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
	if (sendmsg(channel, &message, MSG_NOSIGNAL) != 1)
		die("hand over the listener");
}

int receive_listener(const struct command *command)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got;
	do
		got = recvmsg(command->channel, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	close(command->channel);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL && got == 1;
	     header = CMSG_NXTHDR(&message, header)) {
		int descriptor;
		if (header->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
		return descriptor;
	}
	/* The sender has reported why it failed. */
	_exit(FAILED);
}

static _Noreturn void become_command(const struct options *options, int channel,
				     const struct sock_fprog *filter)
{
	char byte;
	/* The observer has failed and reported it. */
	if (read(channel, &byte, 1) != 1)
		_exit(FAILED);
	int listener = install(filter, flags_of(options));
	if (options->mechanism == BY_NOTIFICATION) {
		send_descriptor(channel, listener);
		close(listener);
	}
	close(channel);
	execvp(options->command[0], options->command);
	int reason = errno;
	fprintf(stderr, "jailbuild: %s: %s\n", options->command[0],
		reason == ENOENT ? "command not found" : strerror(reason));
	report_no_start();
	_exit(reason == ENOENT || reason == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

static _Noreturn void become_launcher(const struct options *options, int channel)
{
	if (dup2(channel, LAUNCHER_DESCRIPTOR) < 0)
		die("hand over a socket");
	syscall(SYS_close_range, LAUNCHER_DESCRIPTOR + 1, ~0U, 0U);
	execv(options->command[0], options->command);
	die(options->command[0]);
}

/* The kernel reports the sender's process number in this namespace (unix(7), SCM_CREDENTIALS). */
static pid_t await_announcement(int channel)
{
	char byte;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got;
	do
		got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (got != 1 || header == NULL || header->cmsg_type != SCM_CREDENTIALS)
		return 0;
	struct ucred sender;
	memcpy(&sender, CMSG_DATA(header), sizeof(sender));
	return sender.pid;
}

struct command start_command(const struct options *options, const struct sock_fprog *filter)
{
	int channel[2], on = 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ||
	    setsockopt(channel[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		die("make a socket pair");
	pid_t child = fork();
	if (child < 0)
		die("make a process");
	if (child == 0) {
		close(channel[0]);
		if (options->launcher)
			become_launcher(options, channel[1]);
		become_command(options, channel[1], filter);
	}
	close(channel[1]);
	pass_signals_to(child);
	return (struct command){ child, options->launcher ? await_announcement(channel[0]) : child, channel[0] };
}

void release_command(struct command *command, const struct options *options, const struct sock_fprog *filter)
{
	/* The launcher installs this message: flags, in the space of one instruction, and the filter. */
	static struct sock_filter message[BPF_MAXINSNS + 1];
	size_t size = 1;
	if (options->launcher) {
		message[0].k = flags_of(options);
		memcpy(message + 1, filter->filter, filter->len * sizeof(message[0]));
		size = (filter->len + 1U) * sizeof(message[0]);
	}
	if (send(command->channel, message, size, MSG_NOSIGNAL) < 0)
		die("let the command go on");
	if (options->mechanism == BY_PTRACE)
		close(command->channel);
}
