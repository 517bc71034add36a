#define _GNU_SOURCE
#include "../engine/engine.h"
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Large enough that replies are rarely kept back (pipe(7)); the maximum for unprivileged users. */
#define PIPE_SIZE (1 << 20)

void open_channel(struct channel *channel)
{
	int requests[2], replies[2];

	if (pipe2(requests, O_CLOEXEC) < 0 || pipe2(replies, O_CLOEXEC) < 0)
		fail(1, "pipe: %s", strerror(errno));
	channel->requests = requests[0];
	channel->to_requests = requests[1];
	channel->replies = replies[1];
	channel->to_replies = replies[0];
	/* Neither end may block while the other waits for it. */
	fcntl(channel->requests, F_SETFL, O_NONBLOCK);
	fcntl(channel->replies, F_SETFL, O_NONBLOCK);
}

/* A request received so far. */
struct incoming {
	uint8_t head[4];
	size_t count;
	uint8_t *bytes;
	uint32_t length;
};

/* Reads all available requests. Returns false at their end. */
static bool take_requests(int fd, struct incoming *incoming)
{
	for (;;) {
		bool in_head = incoming->bytes == NULL;
		uint8_t *to = in_head ? incoming->head : incoming->bytes;
		size_t wanted = in_head ? sizeof(incoming->head) : incoming->length;
		ssize_t count = read(fd, to + incoming->count, wanted - incoming->count);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return true;
		if (count <= 0)
			return false;
		incoming->count += (size_t)count;
		if (incoming->count < wanted)
			continue;
		incoming->count = 0;
		if (!in_head) {
			serve(incoming->bytes, incoming->length);
			incoming->bytes = NULL;
			continue;
		}
		incoming->length = parse_number(incoming->head, sizeof(incoming->head));
		if (incoming->length == 0 || incoming->length > MAX_REQUEST)
			die("a request of invalid length");
		incoming->bytes = malloc(incoming->length);
		if (incoming->bytes == NULL)
			die("out of memory");
	}
}

static int wake_fd = -1;

static void wake(void)
{
	static const uint64_t one = 1;

	if (write(wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* Prepares the engine only when the first request arrives. */
static void begin_to_serve(int replies)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		die("no eventfd");
	fcntl(replies, F_SETPIPE_SZ, PIPE_SIZE);
	reply_to(replies, wake);
	prepare_to_serve();
}

int serve_channel(const struct channel *channel, pid_t node, int signals)
{
	struct incoming incoming = { 0 };
	bool serving = false, ended = false;
	int status;

	while (!ended) {
		uint64_t count;
		bool kept = serving && replies_are_kept();
		struct pollfd fds[] = {
			{ .fd = channel->requests, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN },
			{ .fd = kept ? channel->replies : -1, .events = POLLOUT },
		};
		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
			continue;
		if (fds[0].revents != 0) {
			if (!serving && (fds[0].revents & POLLIN))
				begin_to_serve(channel->replies);
			serving = serving || (fds[0].revents & POLLIN);
			ended = !take_requests(channel->requests, &incoming);
		}
		if (fds[1].revents != 0 && take_signals(signals, node) != 0)
			interrupt_runs();
		if (fds[2].revents != 0 && read(wake_fd, &count, sizeof(count)) < 0)
			continue;
		if (fds[3].revents != 0)
			reply_flush();
	}
	if (serving)
		finish_jobs();
	/* Node has closed its end and is about to exit. */
	for (;;) {
		struct pollfd fd = { .fd = signals, .events = POLLIN };
		pid_t waited = waitpid(node, &status, WNOHANG);
		if (waited == node)
			return status;
		if (waited < 0)
			fail(1, "waitpid: %s", strerror(errno));
		if (poll(&fd, 1, -1) > 0)
			take_signals(signals, node);
	}
}
