/*
 * The report: records of four NUL-terminated strings.
 *
 *   USE     RESULT   PROGRAM  PATH     a use of a file
 *   start   RESULT   ""       ""       the command is executed, or cannot be: `denied`, which prevails
 *   end     STATUS   PROGRAM  ""       a process that failed
 *   error   ""       ""       MESSAGE  why nothing can be observed; may be the last
 *   count   NAME     ""       NUMBER
 *   exit    ""       ""       STATUS   the last one
 */
#include "observer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

unsigned long counters[COUNTERS];

static const char *const names[COUNTERS] = {
	[UNREAD] = "unread",   [ELSEWHERE] = "elsewhere", [DROPPED] = "dropped",
	[TRACERS] = "tracers", [LISTENERS] = "listeners", [STOPS] = "stops",
};

static int descriptor = -1;
static char buffer[1 << 16];
static size_t filled;

void open_report(int to)
{
	descriptor = to;
}

static void flush(void)
{
	for (size_t done = 0; done < filled && descriptor >= 0;) {
		ssize_t written = write(descriptor, buffer + done, filled - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			/* The reader has gone: the command continues undisturbed. */
			close(descriptor);
			descriptor = -1;
			break;
		}
		done += (size_t)written;
	}
	filled = 0;
}

static void put(const char *text)
{
	size_t size = strlen(text) + 1;
	if (size > sizeof(buffer) - filled)
		flush();
	memcpy(buffer + filled, text, size);
	filled += size;
}

void report(const char *what, const char *result, const char *program, const char *path)
{
	if (descriptor < 0)
		return;
	put(what);
	put(result);
	put(program);
	put(path);
}

bool report_failure(const char *message)
{
	if (descriptor < 0)
		return false;
	report("error", "", "", message);
	flush();
	return true;
}

void report_no_start(void)
{
	report("start", "denied", "", "");
	flush();
}

void close_report(int status)
{
	char number[24];
	for (int i = 0; i < COUNTERS; i++) {
		snprintf(number, sizeof(number), "%lu", counters[i]);
		report("count", names[i], "", number);
	}
	snprintf(number, sizeof(number), "%d", status);
	report("exit", "", "", number);
	flush();
	if (descriptor >= 0)
		close(descriptor);
	descriptor = -1;
}
