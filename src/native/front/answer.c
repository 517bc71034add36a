#define _GNU_SOURCE
#include "../engine/engine.h"
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The output of a command that changed nothing depends on its words and environment, and on files. Node stores it with
 * what lstat(2) said of these files (cli/stored-answer.ts); while both are the same, so is the output. Anything
 * unexpected is left to Node.
 */
#define SCHEMA "jailbuild.answer/1"
#define MAX_SIZE ((size_t)1 << 30)
/* Below this number of blocks, threads cost more than they save. */
#define FEW_BLOCKS 16
#define THREADS 8
/* Size of the name of a state file's format, in bytes. */
#define STATE_MAGIC 8

/* Differ between sessions, and are not read. */
static const char *const ignored[] = { "_=",	     "SHLVL=",		"OLDPWD=",	  "SSH_CLIENT=",
				       "SSH_TTY=", "SSH_CONNECTION=", "XDG_SESSION_ID=" };

/* FNV-1a of 128 bits. */
typedef unsigned __int128 hash_t;

static void add_bytes(hash_t *hash, const void *bytes, size_t size)
{
	static const hash_t prime = ((hash_t)1 << 88) + 0x13b;

	for (const uint8_t *at = bytes; size > 0; at++, size--)
		*hash = (*hash ^ *at) * prime;
}

static void add_text(hash_t *hash, const char *text)
{
	add_bytes(hash, text, strlen(text) + 1);
}

static void add_number(hash_t *hash, unsigned long number)
{
	add_bytes(hash, &number, sizeof(number));
}

static bool is_ignored(const char *variable)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (strncmp(variable, ignored[i], strlen(ignored[i])) == 0)
			return true;
	}
	return false;
}

/* Another start of the machine may have another processor or kernel. */
static bool add_boot(hash_t *hash)
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	if (count <= 0)
		return false;
	add_bytes(hash, text, (size_t)count);
	return true;
}

static bool add_user(hash_t *hash)
{
	gid_t groups[1024];
	int count = getgroups(sizeof(groups) / sizeof(groups[0]), groups);

	if (count < 0 || geteuid() != getuid() || getegid() != getgid())
		return false;
	add_number(hash, geteuid());
	add_number(hash, getegid());
	add_bytes(hash, groups, (size_t)count * sizeof(groups[0]));
	return true;
}

/* Identifies everything that the output depends on besides files. */
static bool make_key(struct start *start, int argc, char **argv)
{
	hash_t hash = ((hash_t)0x6c62272e07bb0142U << 64) | 0x62b821756295c58dU;
	char directory[PATH_MAX];

	if (!add_boot(&hash) || !add_user(&hash) || getcwd(directory, sizeof(directory)) == NULL)
		return false;
	add_text(&hash, directory);
	add_number(&hash, (unsigned long)isatty(STDOUT_FILENO) * 2 + (unsigned long)isatty(STDERR_FILENO));
	add_number(&hash, (unsigned long)argc);
	for (int i = 1; i < argc; i++)
		add_text(&hash, argv[i]);
	for (char **variable = environ; *variable != NULL; variable++) {
		if (!is_ignored(*variable))
			add_text(&hash, *variable);
	}
	snprintf(start->key, sizeof(start->key), "%016llx%016llx", (unsigned long long)(hash >> 64),
		 (unsigned long long)hash);
	return true;
}

/* As fs/insecure-parent.ts, but without links, and refusing every directory that a group may write to. */
static bool is_safe(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && (stat.st_uid == 0 || stat.st_uid == geteuid()) &&
	       ((stat.st_mode & 022) == 0 || (stat.st_mode & S_ISVTX) != 0);
}

/* Opens a directory on whose path nobody else can change anything; returns -1 for any other. */
static int open_safe_directory(const char *path)
{
	char names[PATH_MAX], *rest = names;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (*path != '/' || strlen(path) >= sizeof(names) || fd < 0)
		return -1;
	strcpy(names, path);
	for (char *name; is_safe(fd); fd = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) {
		name = strsep(&rest, "/");
		while (name != NULL && *name == '\0')
			name = strsep(&rest, "/");
		if (name == NULL)
			return fd;
	}
	return -1;
}

static int open_answers(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	int length = -1;

	if (cache != NULL && *cache == '/')
		length = snprintf(path, sizeof(path), "%s/jailbuild/answers", cache);
	else if (geteuid() == 0)
		length = snprintf(path, sizeof(path), "/var/cache/jailbuild/answers");
	else if (home != NULL && *home == '/')
		length = snprintf(path, sizeof(path), "%s/.cache/jailbuild/answers", home);
	return length < 0 || (size_t)length >= sizeof(path) ? -1 : open_safe_directory(path);
}

/* Maps a file that only the caller and root can have written. */
static bool map_file(int directory, const char *name, struct fields *content, struct stat *stat)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	void *bytes = MAP_FAILED;

	if (fd < 0)
		return false;
	if (fstat(fd, stat) == 0 && S_ISREG(stat->st_mode) && stat->st_nlink == 1 &&
	    (stat->st_uid == 0 || stat->st_uid == geteuid()) && (stat->st_mode & 077) == 0 &&
	    stat->st_size > 0 && (size_t)stat->st_size <= MAX_SIZE)
		bytes = mmap(NULL, (size_t)stat->st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return false;
	*content = (struct fields){ bytes, (char *)bytes + stat->st_size };
	return true;
}

struct answer {
	const char *source_root;
	/* The jail's real path, and the path by which it was named; empty without one. */
	const char *root, *target;
	/* The record's stamp, and that of the file with the blocks. */
	const char *record, *state;
	/* A file that would say that the record is not to be trusted. */
	const char *note;
	size_t count;
	/* Operations that check a block each. */
	struct operation *checks;
	const char *out, *err;
	size_t out_length, err_length;
};

static bool take_blocks(struct fields *fields, struct answer *answer)
{
	if (!take_number(fields, MAX_SIZE, &answer->count))
		return false;
	answer->checks = calloc(answer->count + 1, sizeof(*answer->checks));
	for (size_t i = 0; answer->checks != NULL && i < answer->count; i++) {
		const char *place = next_field(fields);
		size_t length;
		if (place == NULL || !take_number(fields, MAX_SIZE, &length))
			return false;
		answer->checks[i] = (struct operation){ .type = OP_CHECK,
							.flag = strcmp(place, "jail") == 0,
							.content_length = (uint32_t)length };
	}
	return answer->checks != NULL;
}

/* CRC-32, as zlib's crc32(). */
static uint32_t checksum_of(const char *at, const char *end)
{
	uint32_t table[256], checksum = ~0U;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320U : 0);
	}
	for (; at < end; at++)
		checksum = (checksum >> 8) ^ table[(checksum ^ (uint8_t)*at) & 0xff];
	return ~checksum;
}

/* Returns whether the rest is as it was stored. */
static bool is_whole(struct fields *fields)
{
	size_t checksum;

	return take_number(fields, UINT32_MAX, &checksum) &&
	       checksum == checksum_of(fields->at, fields->end);
}

static bool take_text(struct fields *fields, size_t length, const char **text)
{
	*text = fields->at;
	if (length > (size_t)(fields->end - fields->at))
		return false;
	fields->at += length;
	return true;
}

static bool take_answer(struct fields *fields, struct answer *answer)
{
	const char **const texts[] = { &answer->source_root, &answer->root,  &answer->target,
				       &answer->record,	     &answer->state, &answer->note };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		*texts[i] = next_field(fields);
		if (*texts[i] == NULL)
			return false;
	}
	return take_blocks(fields, answer) && take_number(fields, MAX_SIZE, &answer->out_length) &&
	       take_number(fields, MAX_SIZE, &answer->err_length) &&
	       take_text(fields, answer->out_length, &answer->out) &&
	       take_text(fields, answer->err_length, &answer->err);
}

static bool is_nothing(int directory, const char *name)
{
	struct stat stat;

	return fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* Opens the jail and its state, as jail/build/unchanged.ts does, and maps the file with the blocks. */
static bool open_jail(const struct answer *answer, struct fields *blocks, uint64_t *recorded)
{
	char real[PATH_MAX], stamp[STAMP_SIZE];
	struct stat record, state;

	if (realpath(answer->target, real) == NULL || strcmp(real, answer->root) != 0 ||
	    !is_nothing(AT_FDCWD, answer->note))
		return false;
	base_fd = open_safe_directory(answer->root);
	if (base_fd < 0)
		return false;
	int directory = openat(base_fd, ".jailbuild", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return false;
	bool is_current = fstat(directory, &state) == 0 &&
			  (state.st_uid == 0 || state.st_uid == geteuid()) && (state.st_mode & 022) == 0 &&
			  fstatat(directory, "record.json", &record, AT_SYMLINK_NOFOLLOW) == 0 &&
			  S_ISREG(record.st_mode) && is_nothing(directory, "record.json.new") &&
			  is_nothing(directory, "stage");
	if (is_current) {
		write_stamp(stamp, &record);
		*recorded = (uint64_t)record.st_ctim.tv_sec * 1000000000U + (uint64_t)record.st_ctim.tv_nsec;
		is_current = strcmp(stamp, answer->record) == 0 &&
			     map_file(directory, "fingerprint", blocks, &state);
	}
	close(directory);
	if (!is_current)
		return false;
	write_stamp(stamp, &state);
	/* The first bytes name the format (jail/record/state-file.ts). */
	blocks->at += STATE_MAGIC;
	return strcmp(stamp, answer->state) == 0;
}

/* Work that threads share. */
struct checking {
	const struct answer *answer;
	_Atomic size_t next;
	_Atomic bool failed;
};

static void *check_some(void *argument)
{
	struct checking *checking = argument;

	for (size_t i; !checking->failed && (i = checking->next++) < checking->answer->count;) {
		if (!check_block(&checking->answer->checks[i]))
			checking->failed = true;
	}
	return NULL;
}

static bool check_all(const struct answer *answer)
{
	struct checking checking = { .answer = answer };
	pthread_t threads[THREADS];
	size_t started = 0;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	while (answer->count > FEW_BLOCKS && started < THREADS && (long)started + 1 < processors &&
	       pthread_create(&threads[started], NULL, check_some, &checking) == 0)
		started++;
	check_some(&checking);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	return !checking.failed;
}

static bool is_current(const struct answer *answer, struct fields blocks)
{
	uint64_t recorded = 0;

	source_fd = open(*answer->source_root == '\0' ? "/" : answer->source_root,
			 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (source_fd < 0 || (*answer->root != '\0' && !open_jail(answer, &blocks, &recorded)))
		return false;
	for (size_t i = 0; i < answer->count; i++) {
		struct operation *check = &answer->checks[i];
		const char *content;
		if (!take_text(&blocks, check->content_length, &content))
			return false;
		check->content = (const uint8_t *)content;
		check->size = recorded;
	}
	return check_all(answer);
}

/* Returns whether all is written, or the reader is gone. */
static bool print(int fd, const char *text, size_t length, size_t *written)
{
	while (*written < length) {
		ssize_t count = write(fd, text + *written, length - *written);
		if (count > 0)
			*written += (size_t)count;
		else if (errno != EINTR)
			return errno == EPIPE;
	}
	return true;
}

/* Prints the answer and exits, or returns if nothing could be printed: Node then says why. */
static void give(const struct answer *answer)
{
	size_t written = 0, ignored_ = 0;
	void (*former)(int) = signal(SIGPIPE, SIG_IGN);

	if (print(STDOUT_FILENO, answer->out, answer->out_length, &written)) {
		print(STDERR_FILENO, answer->err, answer->err_length, &ignored_);
		exit(0);
	}
	if (written > 0)
		fail(1, "standard output: %s", strerror(errno));
	signal(SIGPIPE, former);
}

static bool has_word(int argc, char **argv, const char *long_, const char *short_)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], long_) == 0 || strcmp(argv[i], short_) == 0)
			return true;
	}
	return false;
}

void answer_without_node(struct start *start, int argc, char **argv)
{
	struct answer answer;
	struct fields fields;
	struct stat stat;

	if (argc < 3 || has_word(argc, argv, "--verbose", "-v") || !make_key(start, argc, argv))
		return;
	int directory = open_answers();
	if (directory < 0)
		return;
	if (map_file(directory, start->key, &fields, &stat) && are_of_program(start, &fields, SCHEMA) &&
	    is_whole(&fields) && take_answer(&fields, &answer) && is_current(&answer, fields))
		give(&answer);
	close(directory);
	if (base_fd >= 0)
		close(base_fd);
	if (source_fd >= 0)
		close(source_fd);
	base_fd = source_fd = -1;
}
