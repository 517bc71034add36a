#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 80 };

static char name[32];
static mqd_t queue;
/* Closed by the child when it is done. */
static int done[2];

void create_queue(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = MESSAGE_SIZE };
	snprintf(name, sizeof(name), "/invoke_ns.%ld", (long)getpid());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600, &attributes);
	if (queue < 0)
		die_errno("create the message queue", name);
	if (pipe2(done, O_CLOEXEC) < 0)
		die_errno("make a pipe", NULL);
	log_step("created the message queue %s", name);
}

/* In a new IPC namespace the child does not find the queue, which is what -i demonstrates. */
void send_over_queue(void)
{
	const char message[] = "hello from the child";
	mqd_t own = mq_open(name, O_WRONLY | O_CLOEXEC);
	if (own < 0) {
		log_step("the message queue %s is not to be seen from here", name);
	} else {
		if (mq_send(own, message, sizeof(message), 0) < 0)
			die_errno("send to the message queue", name);
		log_step("sent a message to the queue %s", name);
		mq_close(own);
	}
	close(done[1]);
}

void receive_from_queue(void)
{
	char message[MESSAGE_SIZE];
	/* On Linux a message queue is a file descriptor (mq_overview(7)). */
	struct pollfd waiting[] = {
		{ .fd = queue, .events = POLLIN },
		{ .fd = done[0], .events = POLLIN },
	};
	close(done[1]);
	while (poll(waiting, 2, -1) < 0 && errno == EINTR)
		continue;
	if ((waiting[0].revents & POLLIN) && mq_receive(queue, message, sizeof(message), NULL) > 0)
		log_step("received \"%.*s\"", MESSAGE_SIZE, message);
	else
		log_step("received no message");
	close(done[0]);
	mq_close(queue);
	mq_unlink(name);
}
