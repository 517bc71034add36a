#define _GNU_SOURCE
#include "replay.h"
#include "../engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Size of a reply without its data, and the place of the length (jail/engine/protocol.ts). */
enum { REPLY_HEAD = 17, REPLY_LENGTH = 13 };
/* Maximum number of replies that a script may expect in addition to those of operations done. */
#define MAX_EXPECTED 1024

/* An expected reply. */
struct expected {
	const char *bytes;
	size_t size;
	bool came;
};

static struct expected expected[MAX_EXPECTED];
static size_t expected_count;

/* Protects what follows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t posted_jobs, ended_jobs, posted_operations, done_operations, came_count;
static int first_error;
static bool differs;
static int told_fd = -1, signals_fd = -1;

static void put_number(char *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (char)(number >> (8 * i));
}

static bool is_expected(uint32_t job, uint32_t index, uint8_t kind, int error, const void *data, size_t length)
{
	char head[REPLY_HEAD];

	put_number(head, job);
	put_number(head + 4, index);
	head[8] = (char)kind;
	put_number(head + 9, (uint32_t)error);
	put_number(head + REPLY_LENGTH, (uint32_t)length);
	for (size_t i = 0; i < expected_count; i++) {
		struct expected *one = &expected[i];
		if (one->came || one->size != sizeof(head) + length ||
		    memcmp(one->bytes, head, sizeof(head)) != 0)
			continue;
		if (length > 0 && memcmp(one->bytes + sizeof(head), data, length) != 0)
			continue;
		one->came = true;
		came_count++;
		return true;
	}
	return false;
}

static void take_reply(uint32_t job, uint32_t index, uint8_t kind, int error, const void *data, size_t length)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&lock);
	if (kind == DONE) {
		done_operations++;
	} else if (kind == REPLY_END) {
		ended_jobs++;
		differs = differs || error != 0;
	} else if (!is_expected(job, index, kind, error, data, length)) {
		differs = true;
		if (first_error == 0)
			first_error = error;
	}
	pthread_mutex_unlock(&lock);
	if (kind == REPLY_END && write(told_fd, &one, sizeof(one)) < 0)
		return;
}

static bool take_expected(const struct script *script)
{
	const char *at = script->replies, *end = at + script->replies_length;

	expected_count = 0;
	while (end - at >= REPLY_HEAD && expected_count < MAX_EXPECTED) {
		size_t size = REPLY_HEAD + parse_number((const uint8_t *)at + REPLY_LENGTH, 4);
		if (size > (size_t)(end - at))
			return false;
		expected[expected_count++] = (struct expected){ .bytes = at, .size = size };
		at += size;
	}
	return at == end;
}

/* The signals that end a conversation, and the mask before it. */
static sigset_t caught, before;

/* Blocks the signals by which the user may end the build, unless they are ignored. */
static bool catch_ends(void)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGTERM };

	sigemptyset(&caught);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sigaction action;
		if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&caught, ends[i]);
	}
	if (sigprocmask(SIG_BLOCK, &caught, &before) < 0)
		return false;
	signals_fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return signals_fd >= 0 && told_fd >= 0;
}

void forget_ends(void)
{
	static const struct timespec now;

	while (sigtimedwait(&caught, NULL, &now) > 0) {
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void take_signal(struct replay *replay)
{
	struct signalfd_siginfo info;

	if (replay->signal == 0 && read(signals_fd, &info, sizeof(info)) == sizeof(info))
		replay->signal = (int)info.ssi_signo;
}

/* Waits until everything posted has ended; returns whether all replies were as expected. */
static bool wait_for_replies(struct replay *replay, bool may_end)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		bool is_idle = ended_jobs == posted_jobs;
		bool is_same = !differs && done_operations == posted_operations;
		pthread_mutex_unlock(&lock);
		if (is_idle)
			return is_same;
		bool listens = may_end && replay->signal == 0;
		struct pollfd fds[] = { { .fd = told_fd, .events = POLLIN },
					{ .fd = listens ? signals_fd : -1, .events = POLLIN } };
		uint64_t count;
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0 && read(told_fd, &count, sizeof(count)) < 0)
			continue;
		if (fds[1].revents != 0) {
			take_signal(replay);
			interrupt_runs();
		}
	}
}

/* Puts the new jail's name, or its stage's, in place of those in the script. Returns NULL for any other path. */
static const char *renamed(const char *path, const struct replay *replay, char **room)
{
	const char *const names[][2] = { { replay->script->stage, replay->target->stage },
					 { replay->script->name, replay->target->name } };

	for (size_t i = 0; i < 2; i++) {
		size_t length = strlen(names[i][0]);
		if (strncmp(path, names[i][0], length) != 0 || (path[length] != '/' && path[length] != '\0'))
			continue;
		char *to = *room;
		*room = stpcpy(stpcpy(to, names[i][1]), path + length) + 1;
		return to;
	}
	return NULL;
}

static bool has_second_path(const struct operation *operation)
{
	return operation->type == OP_LINK || operation->type == OP_RENAME;
}

/* Returns whether all paths that the job would change are of this jail or its stage. */
static bool rename_paths(struct job *job, const struct replay *replay)
{
	size_t size = 1, longer = strlen(replay->target->stage) + 1;

	for (uint32_t i = 0; i < job->count; i++) {
		const struct operation *operation = &job->operations[i];
		if (operation->path != NULL)
			size += strlen(operation->path) + longer;
		if (has_second_path(operation))
			size += strlen(operation->to) + longer;
	}
	char *room = job->paths = malloc(size);
	if (room == NULL)
		return false;
	for (uint32_t i = 0; i < job->count; i++) {
		struct operation *operation = &job->operations[i];
		/* A new jail has nothing to exchange. */
		if (operation->type == OP_EXCHANGE || operation->type == OP_REPLACE)
			return false;
		/* The parent directory. */
		if (operation->type == OP_SYNC_DIRECTORY && strcmp(operation->path, ".") == 0)
			continue;
		if (operation->path != NULL) {
			operation->path = renamed(operation->path, replay, &room);
			if (operation->path == NULL)
				return false;
		}
		if (has_second_path(operation)) {
			operation->to = renamed(operation->to, replay, &room);
			if (operation->to == NULL)
				return false;
		}
	}
	return true;
}

/* The conversation, as jobs. */
struct steps {
	struct job **jobs;
	size_t count, next;
};

/* Returns NULL for a request that changes something else. */
static struct job *parse_request(const char *request, uint32_t length, const struct replay *replay)
{
	uint8_t *bytes = malloc(length);

	if (bytes == NULL)
		return NULL;
	memcpy(bytes, request, length);
	struct job *job = parse_stored_job(bytes, length);
	if (job == NULL)
		return NULL;
	if (job->count > 0 && rename_paths(job, replay))
		return job;
	free_job(job);
	return NULL;
}

static bool is_single(const struct steps *steps, size_t at, uint8_t type)
{
	const struct job *job = at < steps->count ? steps->jobs[at] : NULL;

	return job != NULL && job->count == 1 && job->operations[0].type == type;
}

/* Takes all requests. Returns whether they are the steps of jail/write/new-jail.ts: a lock first, and later a name. */
static bool take_steps(const struct replay *replay, struct steps *steps)
{
	const char *at = replay->script->requests, *end = at + replay->script->requests_length;
	size_t names = 0;

	/* A request of a job has its length and more than ten bytes. */
	steps->jobs = calloc((size_t)(end - at) / 14 + 1, sizeof(struct job *));
	while (steps->jobs != NULL && end - at > 4) {
		uint32_t length = parse_number((const uint8_t *)at, 4);
		const char *request = at + 4;
		if (length == 0 || length > (size_t)(end - request))
			return false;
		at = request + length;
		/* The base and the source root are open already, and are closed at the end. */
		if (*request == 'B' || *request == 'E')
			continue;
		struct job *job = *request == 'R' ? parse_request(request, length, replay) : NULL;
		if (job == NULL)
			return false;
		steps->jobs[steps->count++] = job;
		names += is_single(steps, steps->count - 1, OP_RENAME);
	}
	return at == end && names == 1 && is_single(steps, 0, OP_LOCK);
}

static void drop_steps(struct steps *steps)
{
	while (steps->next < steps->count)
		free_job(steps->jobs[steps->next++]);
	free(steps->jobs);
}

/* Carries out all jobs of the same run. */
static bool carry_out_run(struct replay *replay, struct steps *steps, bool may_end)
{
	uint32_t run = steps->jobs[steps->next]->run;

	while (steps->next < steps->count && steps->jobs[steps->next]->run == run) {
		struct job *job = steps->jobs[steps->next++];
		posted_jobs++;
		posted_operations += job->count;
		post_job(job);
	}
	return wait_for_replies(replay, may_end);
}

static enum replayed carry_out_steps(struct replay *replay, struct steps *steps, bool *is_locked)
{
	if (!carry_out_run(replay, steps, false))
		return DIFFERENT;
	*is_locked = true;
	if (!is_nothing(base_fd, replay->target->name))
		return DIFFERENT;
	while (!is_single(steps, steps->next, OP_RENAME)) {
		if (!carry_out_run(replay, steps, true))
			return DIFFERENT;
	}
	if (came_count != expected_count || !replay->is_good(replay))
		return DIFFERENT;
	take_signal(replay);
	if (replay->signal != 0)
		return INTERRUPTED;
	if (!carry_out_run(replay, steps, false))
		return DIFFERENT;
	while (steps->next < steps->count) {
		if (!carry_out_run(replay, steps, false))
			return UNCONFIRMED;
	}
	return REPLAYED;
}

/* Undoes what jail/write/transaction.ts would undo, and leaves the writer as it was before. */
static void clean_up(struct replay *replay, bool is_locked)
{
	replay->is_clean = !is_locked || remove_entry(base_fd, replay->target->stage) == 0;
	release_locks();
	drop_jobs();
}

enum replayed replay_conversation(struct replay *replay)
{
	struct steps steps = { 0 };
	struct rlimit files;
	bool is_locked = false;
	enum replayed how = DIFFERENT;

	if (!take_expected(replay->script) || getrlimit(RLIMIT_NOFILE, &files) < 0 || !catch_ends())
		return DIFFERENT;
	allow_many_files();
	mode_t mask = umask(0);
	reply_with(take_reply);
	if (take_steps(replay, &steps))
		how = carry_out_steps(replay, &steps, &is_locked);
	/* Nobody would tell Node of a signal that has been taken. */
	if (how == DIFFERENT && replay->signal != 0)
		how = INTERRUPTED;
	drop_steps(&steps);
	replay->error = first_error;
	if (how == DIFFERENT || how == INTERRUPTED)
		clean_up(replay, is_locked);
	reply_with(NULL);
	umask(mask);
	setrlimit(RLIMIT_NOFILE, &files);
	/* Once the jail is in place, signals end nothing, as in Node. */
	if (how == DIFFERENT)
		sigprocmask(SIG_SETMASK, &before, NULL);
	close(signals_fd);
	close(told_fd);
	return how;
}
