#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a command is looked for when --env sets no PATH. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A new network namespace has a loopback interface, and it is down. */
static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail("bring up the loopback interface", NULL);
	close(fd);
}

static const char *search_path(char **env)
{
	for (; *env != NULL; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return DEFAULT_PATH;
}

/* Returns only if the command cannot be executed, with errno set. */
static void execute(char **command, char **env)
{
	tell("executing %s", command[0]);
	execvpe(command[0], command, env);
}

static _Noreturn void execute_any(char **command, char **env)
{
	char *sh[] = { "sh", NULL }, *bash[] = { "bash", NULL };

	/* execvpe searches by our own environment and hands over the other one. */
	if (clearenv() != 0 || setenv("PATH", search_path(env), 1) != 0)
		fail("set the environment", NULL);
	if (command == NULL) {
		execute(bash, env);
		command = sh;
	}
	execute(command, env);
	int status = errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
	fprintf(stderr, "invoke_ns: execute %s: %s\n", command[0], strerror(errno));
	_exit(status);
}

void become_command(const struct options *options)
{
	tell_as(" Child", options->verbose);
	tell("PID is %ld", (long)getpid());

	/* Without the parent, nobody would wait for the jail nor pass signals on to it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail("tie the child to its parent", NULL);

	if (options->hostname != NULL) {
		tell("setting the host name to %s", options->hostname);
		if (sethostname(options->hostname, strlen(options->hostname)) < 0)
			fail("set the host name to", options->hostname);
	}
	if (options->new_net)
		bring_loopback_up();
	if (options->show_queue)
		send_over_queue();

	/* Before anything is mounted, so that nothing of it is seen outside. */
	if (options->new_mount)
		make_mounts_private();
	if (options->root != NULL)
		enter_root(options->root, options->new_mount);
	if (options->root != NULL || (options->new_mount && options->new_pid))
		make_proc();
	if (options->new_mount && options->new_pid)
		mount_proc();
	if (options->cwd != NULL && chdir(options->cwd) < 0)
		fail("change to the directory", options->cwd);

	/* A descriptor to a directory outside would be a way out of the jail. */
	if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0 && errno != ENOSYS)
		fail("close file descriptors", NULL);
	release_signals();
	execute_any(options->command, options->env);
}
