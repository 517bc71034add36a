#define _GNU_SOURCE
#include "front.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Commands that do not use the writer: Node replaces this process. */
static bool is_without_writer(const char *word)
{
	static const char *const words[] = { "run",	 "ps",	 "exec",  "diff",    "oci-runtime", "trace",
					     "why",	 "inspect",    "profiles", "init",
					     "completion", "help", "optimize", "--version", "-V", "--help", "-h" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

static bool is_verbose(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--verbose") == 0 || strcmp(argv[i], "-v") == 0)
			return true;
	}
	return false;
}

/*
 * Sets the words `node -- jailbuild.cjs WORD...`, or the same from a snapshot. Without the dashes Node 20 itself reads the
 * file of `run --env-file`, and obeys a NODE_OPTIONS in it.
 */
static void set_words(struct start *start, int argc, char **argv)
{
	static char script[PATH_MAX + 16], blob[PATH_MAX];
	char **word = calloc((size_t)argc + 5, sizeof(*word));

	if (word == NULL)
		fail(1, "out of memory");
	start->words = word;
	snprintf(script, sizeof(script), "%s/jailbuild.cjs", start->dist);
	*word++ = "node";
	const char *reason = NULL;
	if (choose_snapshot(start, blob, &reason)) {
		*word++ = "--snapshot-blob";
		*word++ = blob;
	} else if (reason != NULL && is_verbose(argc, argv)) {
		fprintf(stderr, "jailbuild: starts without the start-up snapshot: %s\n", reason);
	}
	*word++ = "--";
	*word++ = script;
	for (int i = 1; i < argc; i++)
		*word++ = argv[i];
}

/* Exits as Node did, by the same signal if it was killed, so that a shell sees Node's status. */
static int end_as(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	int signal_ = WTERMSIG(status);
	/* Node has dumped core, this process must not. */
	static const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	signal(signal_, SIG_DFL);
	restore_signals();
	raise(signal_);
	return 128 + signal_;
}

/*
 * Files opened later must not become standard streams. Node would open /dev/null and lose the output: here, writing to
 * a closed standard output still fails with EBADF.
 */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd)
			_exit(1);
	}
}

/* Enough for Node, its snapshot, and the writer. */
#define DESCRIPTORS 32

static bool has_descriptors(struct rlimit *limit)
{
	return getrlimit(RLIMIT_NOFILE, limit) < 0 || limit->rlim_max >= DESCRIPTORS;
}

/* Node would end with a message of its own, or crash. It raises the soft limit itself. */
static void require_descriptors(void)
{
	struct rlimit limit;

	if (!has_descriptors(&limit))
		fail(1, "too many open files: the limit is %llu, and %d are needed: raise it with ulimit -n",
		     (unsigned long long)limit.rlim_max, DESCRIPTORS);
}

int main(int argc, char **argv)
{
	static struct start start;
	struct channel channel;
	struct rlimit limit;

	open_standard_streams();
	find_dist(start.dist);
	run_without_node(&start, argc, argv);
	exec_without_node(&start, argc, argv);
	if (argc > 2 && !is_verbose(argc, argv)) {
		answer_without_node(&start, argc, argv);
		if (has_descriptors(&limit))
			build_without_node(&start, argc, argv);
	}
	find_node(start.node);
	tune_memory(&start);
	/* Called by `jailbuild optimize`. */
	if (argc == 3 && strcmp(argv[1], "--build-snapshot") == 0)
		return make_snapshot(&start, argv[2]);
	set_words(&start, argc, argv);
	if (argc > 1 && is_without_writer(argv[1]))
		become_node(&start);
	require_descriptors();
	open_channel(&channel);
	int signals = catch_signals();
	pid_t node = start_node(&start, &channel);
	return end_as(serve_channel(&channel, node, signals));
}
