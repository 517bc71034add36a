#define _GNU_SOURCE
#include "launcher.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long namespaces(const struct options *options)
{
	return (options->new_pid ? CLONE_NEWPID : 0UL) | (options->new_mount ? CLONE_NEWNS : 0UL) |
	       (options->new_uts ? CLONE_NEWUTS : 0UL) | (options->new_ipc ? CLONE_NEWIPC : 0UL) |
	       (options->new_net ? CLONE_NEWNET : 0UL);
}

int main(int argc, char **argv)
{
	struct options options;

	parse_options(&options, argc, argv);
	tell_as("Parent", options.verbose);
	tell("PID is %ld", (long)getpid());
	if (options.show_queue)
		create_queue();
	hold_signals();

	/* As fork(2), but the child begins in the new namespaces. */
	pid_t child = (pid_t)syscall(SYS_clone, namespaces(&options) | SIGCHLD, 0, 0, 0, 0);
	if (child < 0)
		fail("make the namespaces", NULL);
	if (child == 0)
		become_command(&options);

	tell("PID of the child is %ld", (long)child);
	if (options.show_queue)
		receive_from_queue();
	int status = wait_for(child, options.new_pid);
	tell("the child has ended with status %d", status);
	return status;
}
