#define _GNU_SOURCE
#include "../engine/engine.h"
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The output of a command that changed nothing depends on its words and environment, and on files. Node stores it with
 * what lstat(2) said of these files (cli/stored-answer.ts); while both are the same, so is the output. Anything
 * unexpected is left to Node.
 */
#define SCHEMA "jailbuild.answer/2"

struct answer {
	const char *source_root;
	/* The jail's real path, and the path by which it was named; empty without one. */
	const char *root, *target;
	/* The record's stamp, and that of the file with the blocks. */
	const char *record, *state;
	/* A file that would say that the record is not to be trusted. */
	const char *note;
	/* The command that follows, see become_next(). */
	char **next;
	size_t next_count;
	size_t count;
	/* Operations that check a block each. */
	struct operation *checks;
	const char *out, *err;
	size_t out_length, err_length;
};

static bool take_blocks(struct fields *fields, struct answer *answer)
{
	if (!take_number(fields, MAX_STORED, &answer->count))
		return false;
	answer->checks = calloc(answer->count + 1, sizeof(*answer->checks));
	for (size_t i = 0; answer->checks != NULL && i < answer->count; i++) {
		const char *place = next_field(fields);
		size_t length;
		if (place == NULL || !take_number(fields, MAX_STORED, &length))
			return false;
		answer->checks[i] = (struct operation){ .type = OP_CHECK,
							.flag = strcmp(place, "jail") == 0,
							.content_length = (uint32_t)length };
	}
	return answer->checks != NULL;
}

static bool take_answer(struct fields *fields, struct answer *answer)
{
	const char **const texts[] = { &answer->source_root, &answer->root,  &answer->target,
				       &answer->record,	     &answer->state, &answer->note };

	return take_texts(fields, texts, sizeof(texts) / sizeof(texts[0])) &&
	       take_number(fields, MAX_STORED, &answer->next_count) &&
	       take_items(fields, answer->next_count, &answer->next) && take_blocks(fields, answer) &&
	       take_number(fields, MAX_STORED, &answer->out_length) &&
	       take_number(fields, MAX_STORED, &answer->err_length) &&
	       take_text(fields, answer->out_length, &answer->out) &&
	       take_text(fields, answer->err_length, &answer->err);
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

static bool is_current(const struct answer *answer, struct fields blocks)
{
	uint64_t recorded = 0;

	source_fd = open(*answer->source_root == '\0' ? "/" : answer->source_root,
			 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (source_fd < 0 || (*answer->root != '\0' && !open_jail(answer, &blocks, &recorded)))
		return false;
	for (size_t i = 0; i < answer->count; i++)
		answer->checks[i].size = recorded;
	return take_contents_of(&blocks, answer->checks, answer->count) &&
	       check_all(base_fd, answer->checks, answer->count);
}

/*
 * Prints the answer and becomes the command that follows, or exits. Returns if nothing could be printed: Node then says
 * why.
 */
static void give(const struct answer *answer)
{
	size_t written = 0, ignored_ = 0;
	void (*former)(int) = signal(SIGPIPE, SIG_IGN);

	if (print(STDOUT_FILENO, answer->out, answer->out_length, &written)) {
		print(STDERR_FILENO, answer->err, answer->err_length, &ignored_);
		signal(SIGPIPE, former);
		become_next(answer->next, answer->next_count, answer->target);
	}
	if (written > 0)
		fail(1, "standard output: %s", strerror(errno));
	signal(SIGPIPE, former);
}

void answer_without_node(struct start *start, int argc, char **argv)
{
	struct answer answer;
	struct fields fields;
	struct stat stat;

	if (!make_key(start->key, argc, argv, 0))
		return;
	int directory = open_cache("answers");
	if (directory < 0)
		return;
	if (map_file(directory, start->key, &fields, &stat) && are_of_program(start, &fields, SCHEMA) &&
	    is_whole(&fields) && take_answer(&fields, &answer) && is_current(&answer, fields))
		give(&answer);
	close(directory);
	close_directories();
}
