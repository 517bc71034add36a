#include "launcher.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: invoke_ns [option...] [command [argument...]]\n"
	"Runs a command, or a shell, in a new root and in namespaces of its own.\n"
	"\n"
	"  -p             in a new PID namespace\n"
	"  -m             in a new mount namespace; with -p, /proc is mounted\n"
	"  -u HOSTNAME    in a new UTS namespace, with this host name\n"
	"  -n             in a new network namespace\n"
	"  -i yes|no      in a new IPC namespace, or the present one; a message queue\n"
	"                 shows which\n"
	"  -c DIR         with DIR as the root directory\n"
	"      --ipc      in a new IPC namespace\n"
	"      --cwd DIR  start in this directory of the new root\n"
	"      --env NAME=VALUE\n"
	"                 set a variable; the environment is else empty\n"
	"  -v             tell each step\n"
	"  -h, --help     show this help\n"
	"\n"
	"The exit status is that of the command, 128+n if signal n ended it, 127 if it\n"
	"is not there, 126 if it cannot be executed, 125 for any other failure.\n";

enum { OPTION_ENV = 256, OPTION_CWD, OPTION_IPC };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "env", required_argument, NULL, OPTION_ENV },
	{ "cwd", required_argument, NULL, OPTION_CWD },
	{ "ipc", no_argument, NULL, OPTION_IPC },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void refuse(const char *message, const char *value)
{
	fprintf(stderr, "invoke_ns: %s%s%s\n", message, value ? ": " : "", value ? value : "");
	exit(FAILED);
}

void parse_options(struct options *options, int argc, char **argv)
{
	size_t env_count = 0;
	int option;

	*options = (struct options){ 0 };
	/* No more variables than there are arguments. */
	options->env = calloc((size_t)argc + 1, sizeof(char *));
	if (options->env == NULL)
		fail("allocate the environment", NULL);

	while ((option = getopt_long(argc, argv, "+hvpmu:ni:c:", long_options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'v':
			options->verbose = true;
			break;
		case 'p':
			options->new_pid = true;
			break;
		case 'm':
			options->new_mount = true;
			break;
		case 'u':
			options->new_uts = true;
			options->hostname = optarg;
			break;
		case 'n':
			options->new_net = true;
			break;
		case 'i':
			if (strcmp(optarg, "yes") != 0 && strcmp(optarg, "no") != 0)
				refuse("-i takes yes or no, not", optarg);
			options->new_ipc = strcmp(optarg, "yes") == 0;
			options->show_queue = true;
			break;
		case 'c':
			options->root = optarg;
			break;
		case OPTION_IPC:
			options->new_ipc = true;
			break;
		case OPTION_CWD:
			options->cwd = optarg;
			break;
		case OPTION_ENV:
			if (strchr(optarg, '=') == NULL || optarg[0] == '=')
				refuse("--env takes NAME=VALUE, not", optarg);
			options->env[env_count++] = optarg;
			break;
		default:
			/* getopt has told what is wrong. */
			exit(FAILED);
		}
	}
	options->command = optind < argc ? argv + optind : NULL;
}
