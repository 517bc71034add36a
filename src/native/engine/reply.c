#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What replies say; the first four are outcomes. */
enum { REPLY_WARNING = 4, REPLY_DATA, REPLY_END };

/* Replies are gathered: a write for each would cost more than many an operation. */
static uint8_t buffer[1 << 14];
static size_t filled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void write_out(const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(STDOUT_FILENO, bytes, length);
		if (count < 0 && errno == EINTR)
			continue;
		/* Without anyone to tell, there is nothing to do. */
		if (count < 0)
			_exit(1);
		bytes += count;
		length -= (size_t)count;
	}
}

static void flush(void)
{
	write_out(buffer, filled);
	filled = 0;
}

static void put_number(uint32_t number)
{
	for (int shift = 0; shift < 32; shift += 8)
		buffer[filled++] = (uint8_t)(number >> shift);
}

static void put(uint32_t job, uint32_t index, uint8_t kind, int error, const void *data, size_t length)
{
	static const size_t head = 17;

	pthread_mutex_lock(&lock);
	if (filled + head + length > sizeof(buffer))
		flush();
	put_number(job);
	put_number(index);
	buffer[filled++] = kind;
	put_number((uint32_t)error);
	put_number((uint32_t)length);
	if (filled + length > sizeof(buffer)) {
		flush();
		write_out(data, length);
	} else if (length > 0) {
		memcpy(buffer + filled, data, length);
		filled += length;
	}
	pthread_mutex_unlock(&lock);
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

void reply_end(uint32_t job)
{
	put(job, 0, REPLY_END, 0, NULL, 0);
	reply_flush();
}

void reply_flush(void)
{
	pthread_mutex_lock(&lock);
	flush();
	pthread_mutex_unlock(&lock);
}
