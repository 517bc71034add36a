#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Replies are buffered: a write for each would cost more than many operations. */
#define GATHERED (1 << 14)
/* Size up to which an emptied buffer is kept. */
#define KEPT (1 << 20)

static uint8_t *buffer;
static size_t filled, size;
static int reply_fd = STDOUT_FILENO;
static void (*tell_kept)(void);
static bool kept;
static reply_taker *take_reply;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void reply_to(int fd, void (*told)(void))
{
	reply_fd = fd;
	tell_kept = told;
}

/* Only while no operation is carried out. */
void reply_with(reply_taker *taker)
{
	take_reply = taker;
}

static void flush(void)
{
	size_t done = 0;

	while (done < filled) {
		ssize_t count = write(reply_fd, buffer + done, filled - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN && tell_kept != NULL) {
			if (!kept)
				tell_kept();
			break;
		}
		/* If the client has gone, there is nothing left to do; a front continues, to learn why. */
		if (count < 0 && tell_kept == NULL)
			_exit(1);
		if (count < 0)
			count = (ssize_t)(filled - done);
		done += (size_t)count;
	}
	filled -= done;
	kept = filled > 0;
	memmove(buffer, buffer + done, filled);
	if (filled == 0 && size > KEPT) {
		free(buffer);
		buffer = NULL;
		size = 0;
	}
}

static void reserve(size_t length)
{
	if (filled + length <= size)
		return;
	while (filled + length > size)
		size = size == 0 ? GATHERED : size * 2;
	buffer = realloc(buffer, size);
	if (buffer == NULL)
		die("out of memory");
}

static void put_number(uint32_t number)
{
	for (int shift = 0; shift < 32; shift += 8)
		buffer[filled++] = (uint8_t)(number >> shift);
}

static void put(uint32_t job, uint32_t index, uint8_t kind, int error, const void *data, size_t length)
{
	static const size_t head = 17;

	if (take_reply != NULL) {
		take_reply(job, index, kind, error, data, length);
		return;
	}
	pthread_mutex_lock(&lock);
	if (filled + head + length > GATHERED && !kept)
		flush();
	reserve(head + length);
	put_number(job);
	put_number(index);
	buffer[filled++] = kind;
	put_number((uint32_t)error);
	put_number((uint32_t)length);
	if (length > 0)
		memcpy(buffer + filled, data, length);
	filled += length;
	pthread_mutex_unlock(&lock);
}

bool replies_are_kept(void)
{
	pthread_mutex_lock(&lock);
	bool are_kept = kept;
	pthread_mutex_unlock(&lock);
	return are_kept;
}

void reply_outcome(const struct worker *worker, enum outcome outcome, int error)
{
	put(worker->job->number, worker->index, (uint8_t)outcome, error, NULL, 0);
}

void reply_warning(const struct worker *worker, const char *attribute, int error)
{
	put(worker->job->number, worker->index, REPLY_WARNING, error, attribute, strlen(attribute));
}

void reply_data(const struct worker *worker, const uint8_t *data, size_t length)
{
	put(worker->job->number, worker->index, REPLY_DATA, 0, data, length);
}

void reply_end(uint32_t job, int error)
{
	put(job, 0, REPLY_END, error, NULL, 0);
	reply_flush();
}

void reply_flush(void)
{
	pthread_mutex_lock(&lock);
	flush();
	pthread_mutex_unlock(&lock);
}
