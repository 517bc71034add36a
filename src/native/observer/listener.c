/*
 * The second mechanism: a listener that the kernel asks before each call (seccomp_unotify(2)). It leaves ptrace(2) to
 * the command. The call continues after the answer, so its result is unknown: whether a file exists is looked up
 * separately.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Since Linux 6.6, and newer than the headers of many systems. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Interval in milliseconds between checks whether the command has ended. */
enum { PAUSE = 50 };

/* Until the command is executed, the calls are made by the observer's own code. */
static bool has_started;

static void look_at(const struct seccomp_notif *request)
{
	struct process process = { .id = (pid_t)request->pid, .has_started = has_started };
	uint64_t arguments[6];

	counters[STOPS]++;
	process.generation = root_generation() - 1;
	for (size_t i = 0; i < COUNT(arguments); i++)
		arguments[i] = request->data.args[i];
	const struct call *call = find_call(request->data.arch, (uint64_t)request->data.nr);
	if (!has_started && (call == NULL || call->use != USE_EXECUTE))
		return;
	if (has_started)
		learn_program(&process);
	else
		process.program = "";
	if (!begin_call(&process, request->data.arch, (uint64_t)request->data.nr, arguments))
		return;
	struct pending *pending = &process.pending;
	if (!has_started) {
		/* Directories of PATH without the command. */
		if (pending->count == 0 || is_absent(pending->root, pending->paths[0], false)) {
			clear_pending(pending);
			return;
		}
		report("start", "found", "", "");
		has_started = true;
	}
	guess_call(&process);
}

static bool answer(int listener)
{
	struct seccomp_notif request = { 0 };
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return errno == EINTR || errno == ENOENT;
	look_at(&request);
	struct seccomp_notif_resp response = {
		.id = request.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};
	/* The caller may have ended. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	return true;
}

static void answer_unseen(int listener)
{
	struct seccomp_notif request = { 0 };
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return;
	struct seccomp_notif_resp response = {
		.id = request.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static int serve(const struct options *options, int listener, pid_t child)
{
	int status;
	struct observation observation = { .result = FAILED };

	for (;;) {
		struct pollfd poll_listener = { listener, POLLIN, 0 };
		poll(&poll_listener, 1, observation.is_over ? -1 : PAUSE);
		if (poll_listener.revents & POLLIN) {
			if (observation.is_over)
				answer_unseen(listener);
			else if (!answer(listener))
				break;
		}
		if (!observation.has_ended && waitpid(child, &status, WNOHANG) == child)
			command_ended(&observation, status, options);
		/* No process with the filter is left. */
		if ((poll_listener.revents & (POLLHUP | POLLERR)) && observation.has_ended)
			break;
		if (poll_listener.revents & (POLLHUP | POLLERR))
			usleep(PAUSE * 1000);
		end_in_time(&observation);
	}
	return end_of(&observation);
}

int listen_to_notifications(const struct options *options)
{
	const struct sock_fprog *filter = make_filter(SECCOMP_RET_USER_NOTIF, false);
	struct command command = start_command(options, filter);
	int status;

	if (command.observed <= 0) {
		/* The launcher has failed and reported it. */
		while (waitpid(command.child, &status, 0) < 0 && errno == EINTR)
			;
		status = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
		close_report(status);
		return status;
	}
	release_command(&command, options, filter);
	int listener = receive_listener(&command);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die("protect this process from others");
	/* Answers are faster on kernels that support it. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return serve(options, listener, command.child);
}
