/*
 * Under jail_observer, which runs the launcher, the command is stopped at each system call that names a
 * file. The observer holds the other end of descriptor 3: the process that is to become the command
 * announces itself there, is traced from then on, and receives the filter that stops it. So nothing
 * that the launcher does for itself is observed.
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

/* What the observer sends: flags for seccomp(2), in the place of an instruction, and then the filter. */
static struct sock_filter message[BPF_MAXINSNS + 1];
static struct sock_fprog filter = { 0, message + 1 };

void meet_observer(void)
{
	/* Only while nothing else runs in the jail: the observer may have no rights to trace others. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || send(OBSERVER, "", 1, MSG_NOSIGNAL) != 1)
		die_errno("reach the observer", NULL);
	ssize_t size = recv(OBSERVER, message, sizeof(message), 0);
	if (size == 0)
		_exit(FAILED);
	if (size < (ssize_t)sizeof(message[0]) || size % (ssize_t)sizeof(message[0]) != 0)
		die_errno("receive a filter from the observer", NULL);
	filter.len = (unsigned short)(size / (ssize_t)sizeof(message[0]) - 1);
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
	/* With all other descriptors, the listener is closed before the command is executed. */
	close(OBSERVER);
}

void be_observable(void)
{
	/* The name of the command is in the memory of this process; changing users has closed it. */
	if (filter.len > 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		die_errno("open this process to the observer", NULL);
}
