#include "launcher.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *speaker = "Parent";
static bool is_verbose;

void log_as(const char *who, bool verbose)
{
	if (!verbose)
		return;
	speaker = who;
	is_verbose = true;
}

void log_step(const char *format, ...)
{
	if (!is_verbose)
		return;
	va_list arguments;
	printf("%s: ", speaker);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	/* The command writes to the same place, and unflushed buffers are lost when it is executed. */
	fflush(stdout);
}

/*
 * Returns a text with its control characters as \xNN, so that a name cannot look like another message or control the
 * terminal.
 */
const char *printable(const char *text)
{
	char *shown = allocate(4 * strlen(text) + 1), *end = shown;
	for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
		/* In UTF-8, U+0080 to U+009F are control characters too. */
		bool is_c1 = byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f;
		if (*byte < ' ' || *byte == 0x7f || is_c1)
			end += sprintf(end, "\\x%02x", *(is_c1 ? ++byte : byte));
		else
			*end++ = (char)*byte;
	}
	return shown;
}

static void (*clean_up)(void);

void at_failure(void (*does)(void))
{
	clean_up = does;
}

static _Noreturn void end(void)
{
	if (clean_up != NULL)
		clean_up();
	note_failure();
	_exit(FAILED);
}

void die_advised(const char *step, const char *path, const char *advice)
{
	const char *reason = strerror(errno);
	fprintf(stderr, "invoke_ns: %s%s%s: %s%s%s\n", step, path ? " " : "", path ? printable(path) : "", reason,
		advice ? ": " : "", advice ? advice : "");
	end();
}

void warn(const char *step, const char *consequence)
{
	fprintf(stderr, "invoke_ns: %s: %s: %s\n", step, strerror(errno), consequence);
}

void die_errno(const char *step, const char *path)
{
	die_advised(step, path, NULL);
}

void die(const char *message, const char *value)
{
	fprintf(stderr, "invoke_ns: %s%s%s\n", message, value ? ": " : "", value ? printable(value) : "");
	end();
}
