#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Parts of /proc that do not concern the jail's processes and reveal information about the host. Container engines hide
 * the same (containers/common, moby).
 */
static const char *const hidden[] = {
	"acpi",	      "asound", "interrupts", "kcore",	     "keys",	    "latency_stats",
	"sched_debug", "scsi",	"timer_list", "timer_stats",
};
/* Settings of the host, which root may write without any capability. */
static const char *const read_only[] = { "bus", "fs", "irq", "sys", "sysrq-trigger" };

static void hide(int proc, const char *name)
{
	struct stat stat;
	if (fstatat(proc, name, &stat, 0) < 0)
		return;
	bool is_directory = S_ISDIR(stat.st_mode);
	scoped_fd tree = empty_tree(is_directory);
	if (tree < 0)
		die_errno("copy the mount to hide with", is_directory ? name : "/dev/null");
	attach(tree, proc, name, name);
}

static void protect(int proc, const char *name)
{
	int tree = clone_tree(proc, name);
	if (tree < 0 && errno == ENOENT)
		return;
	if (tree < 0)
		die_errno("copy the mount in /proc of", name);
	set_attributes(tree, ATTRIBUTE_READ_ONLY, name);
	attach(tree, proc, name, name);
}

void mount_proc(int root, bool masked)
{
	log_step("mounting proc at /proc");
	int place = make_mount_point(root, "/proc", true);
	int proc = make_filesystem("proc", ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV | ATTRIBUTE_NOEXEC, NULL, NULL);
	attach(proc, place, "", "/proc");
	close(place);
	if (masked) {
		log_step("masking what of /proc concerns the host");
		for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
			hide(proc, hidden[i]);
		for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
			protect(proc, read_only[i]);
	}
	close(proc);
}
