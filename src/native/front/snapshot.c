#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

/*
 * Node's startup snapshot (node --build-snapshot) contains the program, loaded in memory. It is valid only for the same
 * Node binary, processor features, bundle and location, all of which are part of its name. Node exits with an error if
 * they differ, and V8 crashes on a damaged snapshot, so a modified one is never used.
 */

#define DIRECTORY "snapshot"
/* Incremented whenever the composition of a name or tag changes. */
#define FORMAT "1"
/*
 * Bytes of Node's file to read: the ELF header, the program headers and the build ID, which follows them or is part of
 * them.
 */
#define PROBED 4096

/* Closes a descriptor at the end of its scope. */
static void close_scoped(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define SCOPED __attribute__((cleanup(close_scoped))) int

struct hash {
	uint64_t lanes[4];
};

static void begin_hash(struct hash *hash)
{
	for (uint64_t i = 0; i < 4; i++)
		hash->lanes[i] = 0x9e3779b97f4a7c15U * (i + 1);
}

/* For each word a bijection of the state, and for each state one of the word: any single change is detected. */
static inline uint64_t mix(uint64_t state, uint64_t word)
{
	state = (state ^ word) * 0xd6e8feb86659fd93U;
	return state ^ state >> 32;
}

static void add_bytes(struct hash *hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t words[4], a = hash->lanes[0], b = hash->lanes[1], c = hash->lanes[2], d = hash->lanes[3];

	for (; length >= sizeof(words); length -= sizeof(words), at += sizeof(words)) {
		memcpy(words, at, sizeof(words));
		a = mix(a, words[0]);
		b = mix(b, words[1]);
		c = mix(c, words[2]);
		d = mix(d, words[3]);
	}
	memset(words, 0, sizeof(words));
	memcpy(words, at, length);
	hash->lanes[0] = mix(a, words[0]);
	hash->lanes[1] = mix(b, words[1]);
	hash->lanes[2] = mix(c, words[2]);
	hash->lanes[3] = mix(mix(d, words[3]), length);
}

static uint64_t end_hash(const struct hash *hash)
{
	uint64_t state = 0;

	for (int i = 0; i < 4; i++)
		state = mix(state, hash->lanes[i]);
	return state;
}

static bool add_file_times(struct hash *hash, const char *path)
{
	struct stat stat_;

	if (stat(path, &stat_) < 0)
		return false;
	int64_t facts[] = { stat_.st_size, stat_.st_mtim.tv_sec, stat_.st_mtim.tv_nsec };
	add_bytes(hash, facts, sizeof(facts));
	return true;
}

static bool add_beginning(struct hash *hash, const char *path)
{
	uint8_t bytes[PROBED];
	SCOPED fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	/* A script that starts Node does not identify the binary. */
	if (count < 4 || memcmp(bytes, "\177ELF", 4) != 0)
		return false;
	add_bytes(hash, bytes, (size_t)count);
	return true;
}

/* V8 refuses snapshots made with other processor features. */
static void add_processor(struct hash *hash)
{
	uint32_t facts[12] = { 0 };
#ifdef __x86_64__
	__get_cpuid(1, &facts[0], &facts[1], &facts[2], &facts[3]);
	/* The number of the current processor, and whether the kernel has enabled a feature, vary. */
	facts[1] = 0;
	__get_cpuid_count(7, 0, &facts[4], &facts[5], &facts[6], &facts[7]);
	__get_cpuid(0x80000001U, &facts[8], &facts[9], &facts[10], &facts[11]);
#else
	uint64_t features[] = { getauxval(AT_HWCAP), getauxval(AT_HWCAP2) };
	memcpy(facts, features, sizeof(features));
#endif
	add_bytes(hash, facts, sizeof(facts));
}

/* Writes the path of the snapshot for this start, without its suffix. */
static bool name_snapshot(const struct start *start, char path[PATH_MAX])
{
	char bundle[PATH_MAX + 16];
	struct hash hash;

	begin_hash(&hash);
	add_bytes(&hash, FORMAT, sizeof(FORMAT));
	add_bytes(&hash, start->dist, strlen(start->dist));
	add_processor(&hash);
	snprintf(bundle, sizeof(bundle), "%s/cli.cjs", start->dist);
	if (!add_file_times(&hash, bundle) || !add_file_times(&hash, start->node) ||
	    !add_beginning(&hash, start->node))
		return false;
	int length = snprintf(path, PATH_MAX, "%s/" DIRECTORY "/%016llx", start->dist,
			      (unsigned long long)end_hash(&hash));
	return length < PATH_MAX - 16;
}

/* A snapshot is code: only root and the user may be able to change it. */
static bool is_ours(const struct stat *stat)
{
	return (stat->st_uid == 0 || stat->st_uid == geteuid()) && (stat->st_mode & 022) == 0;
}

static bool is_own_directory(const char *path)
{
	struct stat stat;

	return lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode) && is_ours(&stat);
}

/* Opens a file that only root and the user can change. */
static int open_own(const char *path, const char *suffix, struct stat *stat)
{
	char name[PATH_MAX + 16];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	/* A fifo must not be waited for. */
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, stat) == 0 && S_ISREG(stat->st_mode) && is_ours(stat))
		return fd;
	close(fd);
	return -1;
}

static bool digest_file(int fd, size_t size, uint64_t *digest)
{
	struct hash hash;
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

	if (bytes == MAP_FAILED)
		return false;
	begin_hash(&hash);
	add_bytes(&hash, bytes, size);
	*digest = end_hash(&hash);
	munmap(bytes, size);
	return true;
}

#define TAG_SIZE 256

/* Writes a stamp that changes whenever the file's content may have changed. */
static int write_stamp(char *text, size_t size, const struct stat *stat)
{
	return snprintf(text, size, "%llx %llx %llx %lld.%ld %lld.%ld", (unsigned long long)stat->st_dev,
			(unsigned long long)stat->st_ino, (unsigned long long)stat->st_size,
			(long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec,
			(long long)stat->st_ctim.tv_sec, stat->st_ctim.tv_nsec);
}

/* A tag is a digest and a stamp. A copied file has another stamp but may still match the digest. */
static bool is_as_made(const char *path)
{
	struct stat tag_stat, blob_stat;
	char tag[TAG_SIZE], stamp[TAG_SIZE], text[32];
	uint64_t digest;
	SCOPED tag_fd = open_own(path, ".tag", &tag_stat);
	SCOPED blob_fd = tag_fd < 0 ? -1 : open_own(path, ".blob", &blob_stat);

	if (blob_fd < 0 || blob_stat.st_size == 0)
		return false;
	ssize_t count = read(tag_fd, tag, sizeof(tag) - 1);
	if (count < 17)
		return false;
	tag[count] = '\0';
	write_stamp(stamp, sizeof(stamp), &blob_stat);
	if (strcmp(tag + 17, stamp) == 0)
		return true;
	if (!digest_file(blob_fd, (size_t)blob_stat.st_size, &digest))
		return false;
	snprintf(text, sizeof(text), "%016llx ", (unsigned long long)digest);
	return strncmp(text, tag, 17) == 0;
}

/* Returns whether a variable of Node does not affect startup. */
static bool is_harmless(const char *variable)
{
	static const char *const names[] = { "NODE_ENV=", "NODE_PATH=", "NODE_EXTRA_CA_CERTS=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* A snapshot lacks options and hooks set by the user. */
static bool has_node_settings(void)
{
	for (char **variable = environ; *variable != NULL; variable++) {
		if (strncmp(*variable, "NODE_", 5) == 0 && !is_harmless(*variable))
			return true;
	}
	return false;
}

static void directory_of(const struct start *start, char directory[PATH_MAX + 16])
{
	snprintf(directory, PATH_MAX + 16, "%s/" DIRECTORY, start->dist);
}

bool choose_snapshot(const struct start *start, char blob[PATH_MAX], const char **reason)
{
	char directory[PATH_MAX + 16];

	directory_of(start, directory);
	if (access(directory, F_OK) < 0)
		return false;
	if (has_node_settings()) {
		*reason = "the environment has settings for Node";
	} else if (!is_own_directory(directory)) {
		*reason = "its directory is writable by others";
	} else if (!name_snapshot(start, blob) || !is_as_made(blob)) {
		*reason = "there is none for this Node, processor and bundle";
	} else {
		strcat(blob, ".blob");
		return true;
	}
	return false;
}

static void move_in_place(const char *path, const char *suffix, const char *from)
{
	char to[PATH_MAX + 16];

	snprintf(to, sizeof(to), "%s%s", path, suffix);
	if (rename(from, to) < 0)
		fail(1, "%s: %s", to, strerror(errno));
}

static void write_tag(const char *path)
{
	char tag[TAG_SIZE], name[PATH_MAX + 16];
	struct stat stat;
	uint64_t digest;
	SCOPED blob = open_own(path, ".blob", &stat);

	if (blob < 0 || !digest_file(blob, (size_t)stat.st_size, &digest))
		fail(1, "%s.blob: %s", path, strerror(errno));
	int length = snprintf(tag, sizeof(tag), "%016llx ", (unsigned long long)digest);
	length += write_stamp(tag + length, sizeof(tag) - (size_t)length, &stat);
	snprintf(name, sizeof(name), "%s.tag.new", path);
	unlink(name);
	SCOPED fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, tag, (size_t)length) != length)
		fail(1, "%s: %s", name, strerror(errno));
	move_in_place(path, ".tag", name);
}

int make_snapshot(struct start *start, char *entry)
{
	char path[PATH_MAX], directory[PATH_MAX + 16];
	static char fresh[PATH_MAX + 16];
	struct channel channel;

	directory_of(start, directory);
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		fail(1, "%s: %s", directory, strerror(errno));
	if (!is_own_directory(directory))
		fail(1, "%s: belongs to another user, or is writable by others: remove it", directory);
	if (!name_snapshot(start, path))
		fail(1, "%s: is not a Node executable", start->node);
	snprintf(fresh, sizeof(fresh), "%s.blob.new", path);
	unlink(fresh);
	char *words[] = { "node", "--snapshot-blob", fresh, "--build-snapshot", entry, NULL };
	start->words = words;
	unsetenv("NODE_OPTIONS");
	open_channel(&channel);
	int signals = catch_signals();
	pid_t node = start_node(start, &channel);
	int status = serve_channel(&channel, node, signals);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		unlink(fresh);
		fail(1, "node --build-snapshot failed");
	}
	if (chmod(fresh, 0644) < 0)
		fail(1, "%s: %s", fresh, strerror(errno));
	move_in_place(path, ".blob", fresh);
	write_tag(path);
	printf("%s.blob\n", path);
	return 0;
}
