#include "observer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes to the report, whose reader prints it; to standard error if there is no report. */
static _Noreturn void fail(const char *message)
{
	if (!report_failure(message))
		fprintf(stderr, "jailbuild: the command cannot be observed: %s\n", message);
	_exit(FAILED);
}

void die(const char *step)
{
	give_up("%s: %s", step, strerror(errno));
}

void give_up(const char *format, ...)
{
	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	fail(message);
}
