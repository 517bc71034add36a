#include "launcher.h"

#include <errno.h>
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
	"  -n             in a new network namespace, with the loopback interface\n"
	"  -i yes|no      in a new IPC namespace, or the present one; a message queue\n"
	"                 shows which\n"
	"  -c DIR         with DIR as the root directory\n"
	"  -v             tell each step\n"
	"  -h, --help     show this help\n"
	"\n"
	"Namespaces\n"
	"  --ipc, --cgroup, --time, --userns\n"
	"                 in a new one of these\n"
	"  --uid-map INSIDE:OUTSIDE:COUNT, --gid-map INSIDE:OUTSIDE:COUNT\n"
	"                 users of the user namespace, and groups; else the present\n"
	"                 user is root in it\n"
	"  --monotonic SECONDS, --boottime SECONDS\n"
	"                 added to these clocks in the time namespace\n"
	"\n"
	"Files (all need -m)\n"
	"  --read-only    the root is read-only\n"
	"  --dev          a /dev with null, zero, full, random, urandom, tty, shm, pts\n"
	"  --no-proc      no /proc\n"
	"  --mask-proc    what of /proc concerns the host is hidden or read-only\n"
	"  --bind SRC[:DEST][:ro]\n"
	"                 a file or directory of the host\n"
	"  --dev-bind SRC[:DEST][:ro]\n"
	"                 the same, and devices in it work\n"
	"  --tmpfs DEST[:OPTION,...]\n"
	"                 an empty file system in memory, such as /tmp:size=64m,mode=1777\n"
	"  --cwd DIR      start in this directory of the new root\n"
	"\n"
	"Limits\n"
	"  --memory BYTES, --pids COUNT, --cpu-quota MICROSECONDS\n"
	"                 by a cgroup; the quota is of each 100000\n"
	"  --rlimit NAME=SOFT[:HARD]\n"
	"                 by setrlimit(2), such as nofile=1024:2048\n"
	"\n"
	"Rights\n"
	"  --user NAME|UID[:GID]\n"
	"                 as this user of the jail's passwd, and in no other group\n"
	"  --caps NAME,...\n"
	"                 no capabilities but these\n"
	"  --ambient NAME,...\n"
	"                 these for a user other than root as well\n"
	"  --no-new-privs no program gives rights to who executes it\n"
	"  --seccomp default|off|FILE\n"
	"                 a filter for system calls; FILE has it in binary form\n"
	"  --list-denied  print the system calls that the default filter denies\n"
	"  --keyring      in a new session keyring\n"
	"  --umask OCTAL  with this file mode creation mask\n"
	"  --sealed       run this launcher from a copy that cannot be written to\n"
	"\n"
	"The process\n"
	"  --die-with-parent\n"
	"                 kill the jail when the process that called us ends\n"
	"  --init         with a first process that reaps and passes on signals\n"
	"  --new-session  in a session without a terminal\n"
	"  --pty          on a new terminal\n"
	"  --env NAME=VALUE\n"
	"                 set a variable; the environment is else empty\n"
	"\n"
	"The exit status is that of the command, 128+n if signal n ended it, 127 if it\n"
	"is not there, 126 if it cannot be executed, 125 for any other failure.\n";

enum {
	OPTION_AMBIENT = 256,
	OPTION_BIND,
	OPTION_BOOTTIME,
	OPTION_CAPS,
	OPTION_CGROUP,
	OPTION_CPU_QUOTA,
	OPTION_CWD,
	OPTION_DEV,
	OPTION_DEV_BIND,
	OPTION_DIE_WITH_PARENT,
	OPTION_ENV,
	OPTION_GID_MAP,
	OPTION_INIT,
	OPTION_IPC,
	OPTION_KEYRING,
	OPTION_LIST_DENIED,
	OPTION_MASK_PROC,
	OPTION_MEMORY,
	OPTION_MONOTONIC,
	OPTION_NEW_SESSION,
	OPTION_NO_NEW_PRIVS,
	OPTION_NO_PROC,
	OPTION_PIDS,
	OPTION_PTY,
	OPTION_READ_ONLY,
	OPTION_RLIMIT,
	OPTION_SEALED,
	OPTION_SECCOMP,
	OPTION_TIME,
	OPTION_TMPFS,
	OPTION_UID_MAP,
	OPTION_UMASK,
	OPTION_USER,
	OPTION_USERNS,
};

static const struct option long_options[] = {
	{ "ambient", required_argument, NULL, OPTION_AMBIENT },
	{ "bind", required_argument, NULL, OPTION_BIND },
	{ "boottime", required_argument, NULL, OPTION_BOOTTIME },
	{ "caps", required_argument, NULL, OPTION_CAPS },
	{ "cgroup", no_argument, NULL, OPTION_CGROUP },
	{ "cpu-quota", required_argument, NULL, OPTION_CPU_QUOTA },
	{ "cwd", required_argument, NULL, OPTION_CWD },
	{ "dev", no_argument, NULL, OPTION_DEV },
	{ "dev-bind", required_argument, NULL, OPTION_DEV_BIND },
	{ "die-with-parent", no_argument, NULL, OPTION_DIE_WITH_PARENT },
	{ "env", required_argument, NULL, OPTION_ENV },
	{ "gid-map", required_argument, NULL, OPTION_GID_MAP },
	{ "help", no_argument, NULL, 'h' },
	{ "init", no_argument, NULL, OPTION_INIT },
	{ "ipc", no_argument, NULL, OPTION_IPC },
	{ "keyring", no_argument, NULL, OPTION_KEYRING },
	{ "list-denied", no_argument, NULL, OPTION_LIST_DENIED },
	{ "mask-proc", no_argument, NULL, OPTION_MASK_PROC },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "monotonic", required_argument, NULL, OPTION_MONOTONIC },
	{ "new-session", no_argument, NULL, OPTION_NEW_SESSION },
	{ "no-new-privs", no_argument, NULL, OPTION_NO_NEW_PRIVS },
	{ "no-proc", no_argument, NULL, OPTION_NO_PROC },
	{ "pids", required_argument, NULL, OPTION_PIDS },
	{ "pty", no_argument, NULL, OPTION_PTY },
	{ "read-only", no_argument, NULL, OPTION_READ_ONLY },
	{ "rlimit", required_argument, NULL, OPTION_RLIMIT },
	{ "sealed", no_argument, NULL, OPTION_SEALED },
	{ "seccomp", required_argument, NULL, OPTION_SECCOMP },
	{ "time", no_argument, NULL, OPTION_TIME },
	{ "tmpfs", required_argument, NULL, OPTION_TMPFS },
	{ "uid-map", required_argument, NULL, OPTION_UID_MAP },
	{ "umask", required_argument, NULL, OPTION_UMASK },
	{ "user", required_argument, NULL, OPTION_USER },
	{ "userns", no_argument, NULL, OPTION_USERNS },
	{ NULL, 0, NULL, 0 },
};

long long parse_number(const char *text, int base)
{
	char *end;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long number = strtoll(text, &end, base);
	return errno != 0 || *end != '\0' ? -1 : number;
}

static const char *number(const char *option, const char *text)
{
	if (parse_number(text, 10) < 0)
		refuse(option, text);
	return text;
}

/* A time to add may be negative (time_namespaces(7)). */
static const char *offset(const char *option, const char *text)
{
	number(option, *text == '-' ? text + 1 : text);
	return text;
}

static void add(struct list *list, const char *item)
{
	list->items[list->count++] = item;
}

/* The arguments themselves stay whole: the sealed copy is given them once more. */
static char *copy_of(const char *text)
{
	char *copy = strdup(text);
	if (copy == NULL)
		fail("allocate memory", NULL);
	return copy;
}

/* SRC[:DEST][:ro] */
static void parse_bind(struct mount *mount, enum mount_kind kind, const char *argument)
{
	char *text = copy_of(argument);
	char *colon = strrchr(text, ':');
	*mount = (struct mount){ .kind = kind, .source = text, .target = text, .tree = -1 };
	if (colon != NULL && (strcmp(colon, ":ro") == 0 || strcmp(colon, ":rw") == 0)) {
		mount->read_only = colon[2] == 'o';
		*colon = '\0';
	}
	colon = strchr(text, ':');
	if (colon != NULL) {
		*colon = '\0';
		mount->target = colon + 1;
	}
	if (*mount->source == '\0' || *mount->target != '/' || strchr(mount->target, ':') != NULL)
		refuse("--bind takes SRC[:DEST][:ro], DEST an absolute path, not", argument);
}

static void parse_tmpfs(struct mount *mount, const char *argument)
{
	char *text = copy_of(argument);
	char *colon = strchr(text, ':');
	*mount = (struct mount){ .kind = MOUNT_TMPFS, .target = text, .tree = -1 };
	if (colon != NULL) {
		*colon = '\0';
		mount->data = colon + 1;
	}
	if (*text != '/')
		refuse("--tmpfs takes DEST[:OPTION,...], DEST an absolute path, not", argument);
}

static void *list_of(size_t count, size_t size)
{
	void *list = calloc(count, size);
	if (list == NULL)
		fail("allocate memory", NULL);
	return list;
}

/* Where one option is of no use without another, to go on would be less than what was asked for. */
static void check(const struct options *options)
{
	if (!options->new_mount &&
	    (options->read_only || options->make_dev || options->mask_proc || options->mount_count > 0))
		refuse("--read-only, --dev, --mask-proc, --bind and --tmpfs need -m", NULL);
	if (options->root == NULL && options->read_only)
		refuse("--read-only needs -c", NULL);
	if (options->mask_proc && !options->new_pid)
		refuse("--mask-proc needs -p", NULL);
	if (!options->new_user && (options->uid_maps.count > 0 || options->gid_maps.count > 0))
		refuse("--uid-map and --gid-map need --userns", NULL);
	if ((options->uid_maps.count > 0) != (options->gid_maps.count > 0))
		refuse("--uid-map and --gid-map go together", NULL);
	if (!options->new_time && (options->monotonic != NULL || options->boottime != NULL))
		refuse("--monotonic and --boottime need --time", NULL);
	if (options->init && !options->new_pid)
		refuse("--init needs -p", NULL);
	if (options->pty && !options->make_dev)
		refuse("--pty needs --dev", NULL);
}

/* The init wipes the arguments we were called with while the command still uses what they said. */
static char **copies_of(int argc, char **argv)
{
	static char *text, **copies;
	char *last = argc > 0 ? argv[argc - 1] : NULL;
	/* The kernel has put the arguments one after the other. */
	size_t size = last != NULL ? (size_t)(last + strlen(last) + 1 - *argv) : 0;

	copies = list_of((size_t)argc + 1, sizeof(char *));
	text = list_of(size, 1);
	if (last != NULL)
		memcpy(text, *argv, size);
	for (int index = 0; index < argc; index++)
		copies[index] = text + (argv[index] - *argv);
	return copies;
}

void parse_options(struct options *options, int argc, char **argv)
{
	/* No option can be given more often than there are arguments. */
	size_t most = (size_t)argc + 1;
	int option;

	*options = (struct options){ .seccomp = "off", .argv = argv };
	argv = copies_of(argc, argv);
	options->env = list_of(most + 1, sizeof(char *));
	options->mounts = list_of(most, sizeof(struct mount));
	options->uid_maps.items = list_of(most, sizeof(char *));
	options->gid_maps.items = list_of(most, sizeof(char *));
	options->rlimits.items = list_of(most, sizeof(char *));

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
		case OPTION_CGROUP:
			options->new_cgroup = true;
			break;
		case OPTION_TIME:
			options->new_time = true;
			break;
		case OPTION_USERNS:
			options->new_user = true;
			break;
		case OPTION_UID_MAP:
			add(&options->uid_maps, optarg);
			break;
		case OPTION_GID_MAP:
			add(&options->gid_maps, optarg);
			break;
		case OPTION_MONOTONIC:
			options->monotonic = offset("--monotonic takes seconds, not", optarg);
			break;
		case OPTION_BOOTTIME:
			options->boottime = offset("--boottime takes seconds, not", optarg);
			break;
		case OPTION_READ_ONLY:
			options->read_only = true;
			break;
		case OPTION_DEV:
			options->make_dev = true;
			break;
		case OPTION_NO_PROC:
			options->no_proc = true;
			break;
		case OPTION_MASK_PROC:
			options->mask_proc = true;
			break;
		case OPTION_BIND:
			parse_bind(&options->mounts[options->mount_count++], MOUNT_BIND, optarg);
			break;
		case OPTION_DEV_BIND:
			parse_bind(&options->mounts[options->mount_count++], MOUNT_DEVICES, optarg);
			break;
		case OPTION_TMPFS:
			parse_tmpfs(&options->mounts[options->mount_count++], optarg);
			break;
		case OPTION_CWD:
			options->cwd = optarg;
			break;
		case OPTION_MEMORY:
			options->memory = number("--memory takes bytes, not", optarg);
			break;
		case OPTION_PIDS:
			options->pids = number("--pids takes a number, not", optarg);
			break;
		case OPTION_CPU_QUOTA:
			options->cpu_quota = number("--cpu-quota takes microseconds, not", optarg);
			break;
		case OPTION_RLIMIT:
			add(&options->rlimits, optarg);
			break;
		case OPTION_USER:
			options->user = optarg;
			break;
		case OPTION_CAPS:
			options->limit_caps = true;
			options->caps = parse_caps(optarg);
			break;
		case OPTION_AMBIENT:
			options->ambient = parse_caps(optarg);
			break;
		case OPTION_NO_NEW_PRIVS:
			options->no_new_privs = true;
			break;
		case OPTION_SECCOMP:
			options->seccomp = optarg;
			break;
		case OPTION_LIST_DENIED:
			list_denied();
		case OPTION_KEYRING:
			options->new_keyring = true;
			break;
		case OPTION_UMASK:
			if (parse_number(optarg, 8) < 0 || parse_number(optarg, 8) > 0777)
				refuse("--umask takes an octal mode up to 777, not", optarg);
			options->umask = optarg;
			break;
		case OPTION_SEALED:
			options->sealed = true;
			break;
		case OPTION_DIE_WITH_PARENT:
			options->die_with_parent = true;
			break;
		case OPTION_INIT:
			options->init = true;
			break;
		case OPTION_NEW_SESSION:
			options->new_session = true;
			break;
		case OPTION_PTY:
			options->pty = true;
			break;
		case OPTION_ENV:
			if (strchr(optarg, '=') == NULL || optarg[0] == '=')
				refuse("--env takes NAME=VALUE, not", optarg);
			options->env[options->env_count++] = optarg;
			break;
		default:
			/* getopt has told what is wrong. */
			exit(FAILED);
		}
	}
	options->command = optind < argc ? argv + optind : NULL;
	check(options);
}
