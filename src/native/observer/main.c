#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char usage[] =
	"Usage: jail_observer --report FD [option...] command [argument...]\n"
	"Runs a command and reports which files it and its descendants use.\n"
	"\n"
	"  --report FD       write the report to this descriptor\n"
	"  --mechanism ptrace|notify\n"
	"                    how system calls are seen [default: ptrace]\n"
	"  --linger MS       observe what still runs when the command has ended for so long\n"
	"  --launcher        the command is invoke_ns with --observed: observe what it runs\n"
	"  --all-calls       report the numbers of all system calls as well\n"
	"  --words FD        read the command from this descriptor, each word ended by a NUL\n"
	"  --environ FD      read the command's environment from this descriptor, in the same way\n";

static _Noreturn void misuse(const char *message)
{
	fprintf(stderr, "jail_observer: %s\n", message);
	exit(FAILED);
}

static int number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || value < 0 || value > 1 << 30)
		misuse("a number is expected");
	return (int)value;
}

/* Node passes only text as arguments and environment; a pipe passes any bytes. */
static char **read_words(int fd)
{
	char *text = NULL;
	size_t size = 0, room = 0, count = 0;
	for (ssize_t got = 1; got != 0;) {
		if (size == room) {
			room = 2 * room + 65536;
			text = realloc(text, room);
			if (text == NULL)
				misuse("there is no memory for the command");
		}
		got = read(fd, text + size, room - size);
		if (got < 0 && errno != EINTR)
			misuse("the command cannot be read");
		size += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	if (size > 0 && text[size - 1] != '\0')
		misuse("each word must end with a NUL");
	for (size_t at = 0; at < size; at++)
		count += text[at] == '\0';
	char **words = calloc(count + 1, sizeof(*words));
	if (words == NULL)
		misuse("there is no memory for the command");
	for (size_t at = 0, word = 0; word < count; word++) {
		words[word] = text + at;
		at += strlen(text + at) + 1;
	}
	return words;
}

static void parse(struct options *options, int argc, char **argv)
{
	enum { REPORT = 256, MECHANISM, LINGER, LAUNCHER, ALL_CALLS, WORDS, ENVIRON };
	static const struct option names[] = {
		{ "report", required_argument, NULL, REPORT },
		{ "mechanism", required_argument, NULL, MECHANISM },
		{ "linger", required_argument, NULL, LINGER },
		{ "launcher", no_argument, NULL, LAUNCHER },
		{ "all-calls", no_argument, NULL, ALL_CALLS },
		{ "words", required_argument, NULL, WORDS },
		{ "environ", required_argument, NULL, ENVIRON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, words = -1;
	*options = (struct options){ .report = -1 };
	while ((option = getopt_long(argc, argv, "+h", names, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case REPORT:
			options->report = number(optarg);
			break;
		case MECHANISM:
			if (strcmp(optarg, "ptrace") != 0 && strcmp(optarg, "notify") != 0)
				misuse("--mechanism takes ptrace or notify");
			options->mechanism = *optarg == 'p' ? BY_PTRACE : BY_NOTIFICATION;
			break;
		case LINGER:
			options->linger = number(optarg);
			break;
		case LAUNCHER:
			options->launcher = true;
			break;
		case ALL_CALLS:
			options->all_calls = true;
			break;
		case WORDS:
			words = number(optarg);
			break;
		case ENVIRON:
			environ = read_words(number(optarg));
			break;
		default:
			exit(FAILED);
		}
	}
	options->command = words < 0 ? argv + optind : read_words(words);
	if (options->command[0] == NULL || options->report < 0)
		misuse("a report and a command are expected");
}

int main(int argc, char **argv)
{
	struct options options;
	parse(&options, argc, argv);
	if (fcntl(options.report, F_SETFD, FD_CLOEXEC) < 0)
		die("open the report");
	signal(SIGPIPE, SIG_IGN);
	/* Nobody would read the report; traced processes end with their tracer. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		die("tie itself to its caller");
	open_report(options.report);
	return options.mechanism == BY_PTRACE ? trace(&options) : listen_to_notifications(&options);
}
