#define _GNU_SOURCE
#include "../engine/engine.h"
#include "replay.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What a build of a new jail has the writer do depends on the same as the output of a command: its words and
 * environment, and files. Node stores all of it (cli/stored-build.ts). While that holds, this program says the same to
 * the writer for a jail of another name, and prints the same. Where the writer's replies differ, what was begun is removed
 * and left to Node.
 */
#define SCHEMA "jailbuild.build/2"

static bool is_inside(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* As jail/target.ts: copies must not include themselves. */
static bool is_outside(const struct script *script, const char *path)
{
	for (size_t i = 0; i < script->tree_count; i++) {
		if (is_inside(path, script->trees[i]))
			return false;
	}
	return true;
}

static bool holds(const struct script *script)
{
	source_fd = open_beneath(AT_FDCWD, *script->source_root == '\0' ? "/" : script->source_root,
				 O_PATH | O_DIRECTORY);
	return source_fd >= 0 && check_all(-1, script->host.checks, script->host.count) &&
	       check_all(-1, script->advice.checks, script->advice.count);
}

/* Returns whether a root of this inode might be noted as one whose record is not to be trusted. */
static bool is_noted(const struct script *script, int root)
{
	char path[PATH_MAX];
	struct stat stat;

	if (fstat(root, &stat) < 0)
		return true;
	int length = snprintf(path, sizeof(path), "%s/%llu", script->notes, (unsigned long long)stat.st_ino);
	return (size_t)length >= sizeof(path) || !is_nothing(AT_FDCWD, path);
}

/*
 * Verifies the staged jail as jail/build/verify-planned.ts does: with all entries as planned, and the paths absent that
 * programs look for in vain, the programs find what they found in the jail that was verified.
 */
static bool is_as_planned(struct replay *replay)
{
	const struct blocks *blocks = &replay->script->jail;
	struct stat record;
	int root = open_beneath(base_fd, replay->target->stage, O_PATH | O_DIRECTORY);

	if (root < 0)
		return false;
	bool is_good = check_all(root, blocks->checks, blocks->count) && !is_noted(replay->script, root);
	replay->state = openat(root, ".jailbuild", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(root);
	if (replay->state < 0 || fstatat(replay->state, "record.json", &record, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	write_stamp(replay->stamp, &record);
	return is_good;
}

/* Writes the fingerprint; as in Node, it only saves time. */
static void keep_fingerprint(const struct replay *replay)
{
	static const char name[] = "fingerprint.new";
	const struct script *script = replay->script;
	const char *blocks = script->fingerprint + STATE_MAGIC;
	const char *head = script->fingerprint + script->fingerprint_length;
	const char *stamp = replay->stamp, *end = stamp + strlen(stamp);
	uint32_t tail[2] = { (uint32_t)(script->head_length + strlen(stamp) + script->rest_length), 0 };

	tail[1] = checksum_of(0, blocks, head);
	tail[1] = checksum_of(tail[1], stamp, end);
	tail[1] = checksum_of(tail[1], script->rest, script->rest + script->rest_length);
	tail[1] = checksum_of(tail[1], (const char *)tail, (const char *)(tail + 1));
	const struct {
		const char *bytes;
		size_t length;
	} parts[] = { { script->fingerprint, script->fingerprint_length },
		      { stamp, strlen(stamp) },
		      { script->rest, script->rest_length },
		      { (const char *)tail, sizeof(tail) } };
	int fd = openat(replay->state, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	off_t at = 0;
	bool is_written = fd >= 0;

	for (size_t i = 0; is_written && i < sizeof(parts) / sizeof(parts[0]); i++) {
		is_written = write_all(fd, (const uint8_t *)parts[i].bytes, parts[i].length, at) == 0;
		at += (off_t)parts[i].length;
	}
	if (fd >= 0 && close_written(fd) < 0)
		is_written = false;
	if (is_written)
		renameat(replay->state, name, replay->state, "fingerprint");
	else if (fd >= 0)
		unlinkat(replay->state, name, 0);
}

/* The text of an errno as Node prints it. */
static const char *text_of(int error)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s", strerror(error));
	for (char *at = text; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return text;
}

/* Prints what Node printed, and becomes the command that follows or exits. */
static _Noreturn void end_build(const struct script *script, const char *path)
{
	const struct {
		const char *text;
		size_t length;
	} parts[] = { { script->out, script->out_length },
		      { path, script->is_json ? strlen(path) : 0 },
		      { script->out_rest, script->out_rest_length } };
	size_t written;
	void (*former)(int) = signal(SIGPIPE, SIG_IGN);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		written = 0;
		if (!print(STDOUT_FILENO, parts[i].text, parts[i].length, &written))
			fail(1, "standard output: %s", text_of(errno));
	}
	written = 0;
	print(STDERR_FILENO, script->err, script->err_length, &written);
	signal(SIGPIPE, former);
	if (script->next_count > 0)
		forget_ends();
	become_next(script->next, script->next_count, path);
}

/* As Node's SYNC_FAILED: the jail is there, and Node would find nothing left to do. */
static _Noreturn void report_unconfirmed(const struct replay *replay)
{
	char message[PATH_MAX + 256];
	const char *path = replay->target->path;

	snprintf(message, sizeof(message),
		 "%s: is built, but the disk did not confirm the writes, so it may not survive a crash: %s; "
		 "check the disk, then run sync and jailbuild check",
		 path, text_of(replay->error));
	if (replay->script->is_json)
		printf("{\"status\":\"failed\",\"error\":{\"code\":\"SYNC_FAILED\",\"message\":\"%s\","
		       "\"path\":\"%s\"}}\n",
		       message, path);
	fail(1, "%s", message);
}

static const char *name_of(int signal_)
{
	return signal_ == SIGHUP ? "SIGHUP" : signal_ == SIGINT ? "SIGINT" : "SIGTERM";
}

static void build(const struct script *script, const struct new_target *target)
{
	struct replay replay = { .script = script, .target = target, .is_good = is_as_planned, .state = -1 };

	base_fd = target->base;
	base_error = 0;
	switch (replay_conversation(&replay)) {
	case REPLAYED:
		keep_fingerprint(&replay);
		end_build(script, target->path);
	case UNCONFIRMED:
		report_unconfirmed(&replay);
	case INTERRUPTED:
		if (!replay.is_clean)
			fail(128 + replay.signal, "ended by a signal; some changes could not be undone; "
						  "the next build repairs them");
		fail(128 + replay.signal, "ended by %s, nothing was changed", name_of(replay.signal));
	default:
		if (replay.state >= 0)
			close(replay.state);
	}
}

void build_without_node(struct start *start, int argc, char **argv)
{
	static struct new_target target;
	static struct script script;
	struct fields fields;
	struct stat stat;
	int word = find_target_word(argc, argv);

	if (word == 0 || !locate_new_target(argv[word], &target))
		return;
	if (make_key(start->build_key, argc, argv, word)) {
		start->target_word = word;
		int directory = open_cache("builds");
		probe_openat2();
		if (directory >= 0 && map_file(directory, start->build_key, &fields, &stat) &&
		    are_of_program(start, &fields, SCHEMA) && is_whole(&fields) &&
		    take_script(&fields, &script) && is_outside(&script, target.path) && holds(&script))
			build(&script, &target);
		if (directory >= 0)
			close(directory);
	}
	if (base_fd < 0)
		close(target.base);
	close_directories();
}
