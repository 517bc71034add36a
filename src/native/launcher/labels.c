/* Labels of a mandatory access control: of the command, which takes effect when it is executed, and of mounts. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static enum { NONE, SELINUX, APPARMOR } module;

void find_label_module(const struct options *options)
{
	char enabled = 'N';
	const char *label = options->exec_label != NULL ? options->exec_label : options->mount_label;
	if (label == NULL)
		return;
	scoped_fd fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	if (access("/sys/fs/selinux/enforce", F_OK) == 0)
		module = SELINUX;
	else if (fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == 'Y')
		module = APPARMOR;
	else
		die("this kernel runs neither SELinux nor AppArmor, so the label would have no effect", label);
	if (options->mount_label != NULL && module != SELINUX)
		die("this kernel does not run SELinux, so the label would have no effect", options->mount_label);
}

/* The kernel labels the files of some types itself. */
const char *label_of_mount(const struct options *options, const char *type)
{
	static const char *const labelled[] = { "proc", "sysfs", "mqueue", "cgroup", "cgroup2" };
	for (size_t i = 0; i < sizeof(labelled) / sizeof(labelled[0]); i++)
		if (strcmp(type, labelled[i]) == 0)
			return NULL;
	return options->mount_label;
}

/* Writes to the jail's /proc after verifying that it is one: another file could discard the label (CVE-2019-16884). */
void set_exec_label(const struct options *options)
{
	char text[512];
	struct statfs status;
	const char *path = module == APPARMOR ? "/proc/thread-self/attr/apparmor/exec" : "/proc/thread-self/attr/exec";
	if (options->exec_label == NULL)
		return;
	int length = snprintf(text, sizeof(text), module == APPARMOR ? "exec %s" : "%s", options->exec_label);
	scoped_fd fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstatfs(fd, &status) < 0)
		die_errno("open", path);
	if (status.f_type != PROC_SUPER_MAGIC || length >= (int)sizeof(text))
		die("the label cannot be set: not a file of procfs", path);
	if (write(fd, text, (size_t)length) != length)
		die_errno("set the label", options->exec_label);
}
