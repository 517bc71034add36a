/* Causes of failures that errno does not reveal. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns the number at the start of a file in /proc, or -1. */
static long long number_in(const char *path)
{
	char text[32];
	scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return parse_number(text, 10);
}

/* Returns whether a system call filter of an outer sandbox is in force. */
static bool is_filtered(void)
{
	char line[128];
	bool filtered = false;
	FILE *status = fopen("/proc/self/status", "re");
	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		filtered = filtered || strcmp(line, "Seccomp:\t2\n") == 0;
	if (status != NULL)
		fclose(status);
	return filtered;
}

static const char *user_namespace_advice(int reason)
{
	if (number_in("/proc/sys/user/max_user_namespaces") == 0)
		return "user namespaces are off: set the sysctl user.max_user_namespaces";
	if (reason == ENOSPC || reason == EUSERS)
		return "there are too many namespaces, or too many within each other: raise the sysctl user.max_user_namespaces and those beside it";
	if (number_in("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		return "users may make no user namespaces: set the sysctl kernel.unprivileged_userns_clone to 1";
	if (number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		return "AppArmor restricts user namespaces: set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0";
	return NULL;
}

const char *namespace_advice(const struct options *options)
{
	int reason = errno;
	const char *advice = options->new_user ? user_namespace_advice(reason) : NULL;
	if (advice == NULL && reason == ENOSPC)
		advice = "there are too many namespaces: raise the sysctls user.max_*_namespaces";
	if (advice == NULL && reason == EPERM && is_filtered())
		advice = "a filter for system calls is in force here, as container engines install one: let it allow namespaces";
	if (advice == NULL && reason == EPERM && options->new_user)
		advice = "a chroot, or a limit of this system, keeps user namespaces from being made";
	if (advice == NULL && reason == EPERM && geteuid() != 0)
		advice = "this takes root, or a user namespace: --userns";
	errno = reason;
	return advice;
}

const char *proc_advice(void)
{
	return errno == EPERM ?
		       "the /proc here is masked, as in a container, and the kernel lets no other be mounted: run without it (--no-proc; of jailbuild run --proc none)" :
		       NULL;
}

const char *delegation_advice(void)
{
	return (errno == EACCES || errno == EPERM) && geteuid() != 0 ?
		       "no cgroup is delegated to this user: run it by systemd-run --user --scope -p Delegate=yes" :
		       NULL;
}
