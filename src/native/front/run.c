#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
/* CLOSE_RANGE_CLOEXEC, since Linux 5.11; run requires 5.12. */
#define CLOSE_ON_EXEC 4U

/*
 * Without options, `jailbuild run ROOT [-- COMMAND]` starts the launcher with arguments that depend only on the jail's
 * record. Node, which reads the record, stores them for root (cli/remembered-launch.ts), outside the jail, since root
 * inside could otherwise choose its own rights. They are valid as long as the record is the same file.
 */
#define DIRECTORY "/var/cache/jailbuild/launch"
#define SCHEMA "jailbuild.launch/1"
#define MAX_SIZE (1 << 16)

struct fields {
	char *at, *end;
};

static const char *next_field(struct fields *fields)
{
	char *field = fields->at;

	if (field >= fields->end)
		return NULL;
	fields->at = memchr(field, '\0', (size_t)(fields->end - field));
	if (fields->at == NULL)
		return NULL;
	fields->at++;
	return field;
}

static bool next_is(struct fields *fields, const char *expected)
{
	const char *field = next_field(fields);

	return field != NULL && strcmp(field, expected) == 0;
}

static bool is_roots(const struct stat *stat)
{
	return stat->st_uid == 0 && (stat->st_mode & 022) == 0;
}

static bool is_roots_directory(int at, const char *path)
{
	struct stat stat;

	return fstatat(at, path, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode) &&
	       is_roots(&stat);
}

static bool is_safe_place(void)
{
	char path[] = DIRECTORY;

	for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		if (!is_roots_directory(AT_FDCWD, path))
			return false;
	}
	return is_roots_directory(AT_FDCWD, path);
}

/* Returns whether a path is in the form that Node's `path.resolve` returns. */
static bool is_resolved(const char *path)
{
	size_t length;

	if (*path != '/' || path[1] == '\0')
		return false;
	for (; *path == '/'; path += 1 + length) {
		length = strcspn(path + 1, "/");
		if (length == 0 || (length == 1 && path[1] == '.') ||
		    (length == 2 && path[1] == '.' && path[2] == '.'))
			return false;
	}
	return true;
}

/* FNV-1a, for the file's name; its content identifies the root. */
static uint64_t hash_path(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (; *path != '\0'; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3U;
	return hash;
}

/* Writes a file's stamp as jail/record/record.ts does. */
static void write_stamp(char *text, size_t size, const struct stat *stat)
{
	snprintf(text, size, "%llu:%llu:%lld:%lld%09ld:%lld%09ld", (unsigned long long)stat->st_dev,
		 (unsigned long long)stat->st_ino, (long long)stat->st_size,
		 (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec, (long long)stat->st_ctim.tv_sec,
		 stat->st_ctim.tv_nsec);
}

/* Writes the stamp of the record; returns false if there is none or root does not trust it. */
static bool stamp_record(const char *root, char *text, size_t size)
{
	struct stat stat;
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool good = false;

	if (fd < 0)
		return false;
	if (is_roots_directory(fd, ".jailbuild") &&
	    fstatat(fd, ".jailbuild/record.json", &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(stat.st_mode) && is_roots(&stat)) {
		write_stamp(text, size, &stat);
		good = true;
	}
	close(fd);
	return good;
}

static bool read_words(const char *root, struct fields *fields)
{
	static char bytes[MAX_SIZE];
	char path[PATH_MAX];
	struct stat stat;

	snprintf(path, sizeof(path), DIRECTORY "/%016llx", (unsigned long long)hash_path(root));
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t count = -1;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && is_roots(&stat))
		count = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (count <= 0 || count == sizeof(bytes) || bytes[count - 1] != '\0')
		return false;
	*fields = (struct fields){ bytes, bytes + count };
	return true;
}

/* Returns whether the stored arguments belong to this program, this root and its current record. */
static bool are_current(const struct start *start, const char *root, struct fields *fields)
{
	char path[PATH_MAX + 16], stamp[160];
	struct stat stat_;

	snprintf(path, sizeof(path), "%s/cli.cjs", start->dist);
	if (!next_is(fields, SCHEMA) || stat(path, &stat_) < 0)
		return false;
	write_stamp(stamp, sizeof(stamp), &stat_);
	if (!next_is(fields, path) || !next_is(fields, stamp) || !next_is(fields, root))
		return false;
	return stamp_record(root, stamp, sizeof(stamp)) && next_is(fields, stamp);
}

/* TERM is stored without a value, since each run has its own. */
static char *with_value(const char *variable)
{
	char *text = NULL;

	if (strcmp(variable, "TERM") != 0)
		return (char *)variable;
	return asprintf(&text, "TERM=%s", getenv("TERM")) < 0 ? NULL : text;
}

/* Reads a number and that many fields; returns NULL if there are fewer. Leaves `spare` places after them. */
static char **take_list(struct fields *fields, size_t spare, size_t *count)
{
	const char *number = next_field(fields);

	*count = number == NULL ? 0 : strtoul(number, NULL, 10);
	if (*count == 0 || *count > MAX_SIZE)
		return NULL;
	char **list = calloc(*count + spare + 1, sizeof(*list));
	for (size_t i = 0; list != NULL && i < *count; i++) {
		list[i] = (char *)next_field(fields);
		if (list[i] == NULL)
			return NULL;
	}
	return list;
}

/* Returns whether a word needs no escaping on a terminal. */
static bool is_printable(const char *word)
{
	for (; *word != '\0'; word++) {
		if (*word < ' ' || *word > '~')
			return false;
	}
	return true;
}

/* Prints the same hint as cli/commands/run.ts for a command that cannot start or does not find its libraries. */
static void tell_of_prove(const char *root, char **command)
{
	for (char **word = command; *word != NULL; word++) {
		if (!is_printable(*word))
			return;
	}
	if (!is_printable(root))
		return;
	fprintf(stderr, "jailbuild: `jailbuild prove %s --", root);
	for (char **word = command; *word != NULL; word++)
		fprintf(stderr, " %s", *word);
	fputs("` reports what the jail lacks\n", stderr);
}

/* Starts the launcher, forwards signals to it, and returns the exit status. */
static int launch(const char *launcher, char **words, char **environment)
{
	int signals = catch_signals(), status;
	volatile int error = 0;
	pid_t child = vfork();

	if (child == 0) {
		restore_signals();
		/* The current directory may be accessible to its user alone. */
		if (chdir("/") == 0)
			execve(launcher, words, environment);
		error = errno;
		_exit(125);
	}
	if (child < 0)
		error = errno;
	if (error != 0)
		fail(125, "%s: %s", launcher, strerror(error));
	for (;;) {
		struct pollfd fd = { .fd = signals, .events = POLLIN };
		pid_t waited = waitpid(child, &status, WNOHANG);
		if (waited == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (waited < 0)
			fail(125, "waitpid: %s", strerror(errno));
		if (poll(&fd, 1, -1) > 0)
			take_signals(signals, child);
	}
}

void run_as_before(const struct start *start, int argc, char **argv)
{
	static char launcher[PATH_MAX + 64];
	struct fields fields;
	size_t word_count, variable_count;

	/* Node handles sockets from a supervisor. */
	if (argc < 3 || strcmp(argv[1], "run") != 0 || !is_resolved(argv[2]) ||
	    (argc > 3 && strcmp(argv[3], "--") != 0) || getuid() != 0 || geteuid() != 0 ||
	    getenv("TERM") == NULL || getenv("LISTEN_FDS") != NULL)
		return;
	const char *root = argv[2];
	snprintf(launcher, sizeof(launcher), "%s/native/linux-" ARCHITECTURE "/invoke_ns", start->dist);
	if (!is_safe_place() || !read_words(root, &fields) || !are_current(start, root, &fields) ||
	    access(launcher, X_OK) < 0)
		return;
	char **words = take_list(&fields, MAX_SIZE + (size_t)argc, &word_count);
	char **environment = words == NULL ? NULL : take_list(&fields, 0, &variable_count);
	if (environment == NULL)
		return;
	for (size_t i = 0; i < variable_count; i++)
		environment[i] = with_value(environment[i]);
	/* Without a command, a shell. */
	char **command = words + word_count + 3, **end = command;
	if (argc > 4) {
		for (int i = 4; i < argc; i++)
			*end++ = argv[i];
	} else {
		for (const char *field; (field = next_field(&fields)) != NULL;)
			*end++ = (char *)field;
	}
	/* The launcher ends with this process, since nothing else would forward signals. */
	memmove(words + 2, words, word_count * sizeof(*words));
	words[0] = launcher;
	words[1] = "--die-with-parent";
	words[word_count + 2] = end == command ? NULL : "--";
	/* Descriptors besides the standard streams are not for the jail. */
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC) < 0)
		return;
	int status = launch(launcher, words, environment);
	if (status == 126 || status == 127)
		tell_of_prove(root, command);
	exit(status);
}
