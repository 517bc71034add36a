/*
 * Under jail_observer, which starts the launcher, the command is stopped at each system call that names a file. The
 * observer holds the other end of descriptor 3: the process that becomes the command announces itself there, is traced
 * from then on, and receives the filter that stops it. Operations of the launcher itself are not observed.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Message from the observer: flags for seccomp(2), in the space of one instruction, and then the filter. */
enum { MOST_BYTES = (BPF_MAXINSNS + 1) * sizeof(struct sock_filter) };
static struct sock_filter *message;
static struct sock_fprog filter;

void meet_observer(void)
{
	/* Only while nothing else runs in the jail: the observer may lack the privilege to trace other processes. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || send(OBSERVER, "", 1, MSG_NOSIGNAL) != 1)
		die_errno("reach the observer", NULL);
	message = allocate(MOST_BYTES);
	ssize_t size = recv(OBSERVER, message, MOST_BYTES, 0);
	if (size == 0)
		_exit(FAILED);
	if (size < (ssize_t)sizeof(message[0]) || size % (ssize_t)sizeof(message[0]) != 0)
		die_errno("receive a filter from the observer", NULL);
	filter.len = (unsigned short)(size / (ssize_t)sizeof(message[0]) - 1);
	filter.filter = message + 1;
}

void install_observation(void)
{
	if (filter.len == 0)
		return;
	int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, message[0].k, &filter);
	if (listener < 0)
		die_errno("install the observer's filter", NULL);
	if (message[0].k & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		send_descriptor(OBSERVER, listener);
	/* The listener is closed with all other descriptors before the command is executed. */
	close(OBSERVER);
}

void be_observable(void)
{
	/* The command's path is in this process's memory, which changing users has made unreadable. */
	if (filter.len > 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		die_errno("let the observer read this process", NULL);
}
