#define _GNU_SOURCE
#include "launcher.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* cgroup and time namespaces are entered later, since each depends on what the child has set up by then. */
static unsigned long namespaces(const struct options *options)
{
	return (options->new_user ? CLONE_NEWUSER : 0UL) | (options->new_pid ? CLONE_NEWPID : 0UL) |
	       (options->new_mount ? CLONE_NEWNS : 0UL) | (options->new_uts ? CLONE_NEWUTS : 0UL) |
	       (options->new_ipc ? CLONE_NEWIPC : 0UL) | (options->new_net ? CLONE_NEWNET : 0UL);
}

/*
 * Creates a PID namespace within a joined one, which only a process in that one can do. That process creates the child
 * as a sibling (CLONE_PARENT), and the kernel reports the child's number in the launcher's namespace.
 */
static pid_t make_child_within(const struct options *options)
{
	int channel[2], status, yes = 1;
	char byte, control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ||
	    setsockopt(channel[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
		die_errno("make a socket pair", NULL);
	pid_t between = fork();
	if (between < 0)
		die_errno("make a process in the joined PID namespace", NULL);
	if (between == 0) {
		long child = syscall(SYS_clone, namespaces(options) | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		if (child != 0)
			_exit(child < 0 ? errno : 0);
		if (send(channel[1], "", 1, MSG_NOSIGNAL) != 1)
			_exit(FAILED);
		close(channel[0]);
		close(channel[1]);
		return 0;
	}
	close(channel[1]);
	ssize_t got = recvmsg(channel[0], &message, MSG_CMSG_CLOEXEC);
	close(channel[0]);
	while (waitpid(between, &status, 0) < 0 && errno == EINTR)
		;
	const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header == NULL || header->cmsg_type != SCM_CREDENTIALS) {
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
		return -1;
	}
	struct ucred sender;
	memcpy(&sender, CMSG_DATA(header), sizeof(sender));
	return sender.pid;
}

/* As fork(2), but the child starts in the new namespaces. */
static pid_t make_child(const struct options *options)
{
	bool is_within = false;
	for (size_t i = 0; i < options->joined.count; i++)
		is_within = is_within || strncmp(options->joined.items[i], "pid=", 4) == 0;
	if (is_within && options->new_pid)
		return make_child_within(options);
	return (pid_t)syscall(SYS_clone, namespaces(options) | SIGCHLD, 0, 0, 0, 0);
}

/* Lists the content of an earlier run's overlay. */
static void list_overlay(const struct options *options)
{
	scoped_fd store = open_layer(options->overlay);
	scoped_fd upper = openat(store, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0)
		die_errno("open the overlay", options->overlay);
	write_changes(dup(STDOUT_FILENO), upper, options->root);
}

int main(int argc, char **argv)
{
	struct options options;
	/* Tells the child that it may continue or that the parent has ended, and returns the child's terminal. */
	int channel[2];

	pid_t caller = getppid();

	open_standard_streams();
	parse_options(&options, argc, argv);
	close_others(3, &options.named);
	if (options.sealed)
		run_sealed_copy(options.words);
	if (options.lists_changes) {
		list_overlay(&options);
		return EXIT_SUCCESS;
	}
	log_as("Parent", options.verbose);
	log_step("PID is %ld", (long)getpid());
	claim_overlays(&options);
	load_filters(&options.seccomp);
	load_landlock(options.landlock);
	find_label_module(&options);
	if (options.show_queue)
		create_queue();
	make_cgroup(&options);
	if (options.new_mount && options.root != NULL && options.overlay == NULL &&
	    has_other_root(&options))
		make_places(&options);
	options.protects_input = options.new_mount && options.root != NULL && has_input_file();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
		die_errno("make a socket pair", NULL);
	options.group = choose_group(&options);
	expect_failures(&options);
	hold_signals();
	if (options.die_with_parent)
		tie_to_caller(caller);
	tie_to_process(options.die_with);

	int console = options.console_socket != NULL ? connect_to(options.console_socket) : -1;
	if (options.join != NULL)
		join_process(&options);
	join_paths(&options);

	pid_t child = make_child(&options);
	if (child < 0 && options.try_user && options.new_user) {
		warn("make a user namespace", "continuing without one");
		options.new_user = false;
		child = make_child(&options);
	}
	if (child < 0)
		die_advised("make the namespaces", NULL, namespace_advice(&options));
	if (child == 0) {
		close(channel[0]);
		leave_claims();
		become_child(&options, channel[1]);
	}
	close(channel[1]);

	log_step("PID of the child is %ld", (long)child);
	if (options.new_user)
		write_id_maps(child, &options);
	if (awaits_parent(&options) && send(channel[0], "", 1, MSG_NOSIGNAL) < 0)
		die_errno("let the child continue", NULL);
	int input = options.protects_input ? receive_descriptor(channel[0]) : -1;
	int layer = options.changes_fd >= 0 ? receive_descriptor(channel[0]) : -1;
	int pty = options.pty ? receive_descriptor(channel[0]) : -1;
	if (console >= 0 && pty >= 0) {
		send_descriptor(console, pty);
		close(pty);
		pty = -1;
	}
	char byte;
	bool is_there = reports_jail(&options) && recv(channel[0], &byte, 1, 0) == 1;
	if (is_there) {
		write_info(&options, child);
		send(channel[0], "", 1, MSG_NOSIGNAL);
	}
	/* The process that adopts the child receives its exit status. */
	if (is_there && options.detach)
		return EXIT_SUCCESS;
	if (options.show_queue)
		receive_from_queue();
	int status = wait_for(child, &options, channel[0], pty);
	/* Processes that share the input continue where the jail has stopped reading. */
	if (input >= 0)
		lseek(STDIN_FILENO, lseek(input, 0, SEEK_CUR), SEEK_SET);
	if (layer >= 0)
		write_changes(options.changes_fd, layer, options.root);
	remove_cgroup();
	write_exit_status(&options, status);
	log_step("the child has ended with status %d", status);
	/* Unlike exit(3), this runs nothing of the C library. */
	_exit(status);
}
