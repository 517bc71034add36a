/* Translates system calls and their results into uses of files. */
#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Operations of socketcall(2). */
enum { SOCKET_BIND = 2, SOCKET_CONNECT = 3, SOCKET_SENDTO = 11, SOCKET_SENDMSG = 16, SOCKET_SENDMMSG = 20 };

static const char *const words[USES] = {
	[USE_OPEN] = "open",	   [USE_STAT] = "stat",	      [USE_ACCESS] = "access", [USE_READLINK] = "readlink",
	[USE_EXECUTE] = "execute", [USE_CHDIR] = "chdir",     [USE_FCHDIR] = "chdir",  [USE_LIST] = "list",
	[USE_MAKE] = "make",	   [USE_LINK] = "link",	      [USE_RENAME] = "rename", [USE_REMOVE] = "remove",
	[USE_CHANGE] = "change",   [USE_MOUNT] = "mount",     [USE_WATCH] = "watch",   [USE_CONNECT] = "connect",
	[USE_BIND] = "bind",	   [USE_SEND] = "connect",    [USE_ROOT] = "chdir",    [USE_HANDLE] = "open",
	[USE_MESSAGE] = "connect", [USE_MESSAGES] = "connect",
};

static void note(struct process *process, const struct root *root, const char *what, enum result result,
		 const char *path)
{
	static const char *const results[] = {
		[FOUND] = "found", [ABSENT] = "absent", [DENIED] = "denied", [CREATED] = "created",
	};
	if (!root->is_known) {
		counters[ELSEWHERE]++;
		return;
	}
	if (note_seen(seen_key(what, process->program, root, path), result))
		report(what, results[result], process->program, path);
}

/* Returns the flags with which a file is opened. */
static uint64_t open_flags(struct process *process, const struct call *call, const uint64_t arguments[6])
{
	struct open_how how = { 0 };
	if (strcmp(call->name, "open") == 0)
		return arguments[1];
	if (strcmp(call->name, "openat") == 0)
		return arguments[2];
	if (strcmp(call->name, "creat") == 0)
		return O_CREAT | O_WRONLY | O_TRUNC;
	if (strcmp(call->name, "openat2") == 0)
		read_memory(process->id, arguments[2], &how, sizeof(how.flags));
	return how.flags;
}

static void prepare_open(struct process *process, const uint64_t arguments[6])
{
	struct pending *pending = &process->pending;
	uint64_t flags = open_flags(process, pending->call, arguments);
	uint64_t access = flags & O_ACCMODE;

	pending->open_flags = flags;
	pending->no_follow = (flags & O_NOFOLLOW) != 0;
	/* An unnamed file is created in a directory, which the path names. */
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		pending->what = "chdir";
		return;
	}
	pending->may_create = (flags & O_CREAT) != 0;
	pending->exclusive = pending->may_create && (flags & O_EXCL) != 0;
	if (flags & O_PATH)
		pending->what = "stat";
	else if (access == O_WRONLY && (flags & (O_TRUNC | O_EXCL)))
		pending->what = "overwrite";
	else if (access != O_RDONLY)
		pending->what = "write";
}

/* The names of the current call: most calls are answered at once, and their names need not be kept. */
static char names[MOST_NAMES][2 * PATH_SIZE];

static char *next_name(const struct pending *pending)
{
	return names[pending->count];
}

static void accept_name(struct pending *pending)
{
	pending->paths[pending->count] = names[pending->count];
	pending->count++;
}

/* Keeps the names until the call ends. */
static void keep_names(struct pending *pending)
{
	for (size_t i = 0; i < pending->count; i++) {
		pending->paths[i] = strdup(pending->paths[i]);
		if (pending->paths[i] == NULL) {
			counters[DROPPED]++;
			pending->count = i;
		}
	}
}

/* Returns false if the name does not exist. */
static bool add_name(struct process *process, const struct root *root, int directory, uint64_t address)
{
	static char path[PATH_SIZE];
	struct pending *pending = &process->pending;
	char *full = next_name(pending);

	switch (read_path(process->id, address, path)) {
	case READ_REFUSED:
		if (!process->has_started)
			refuse_hidden_names(process->id);
		counters[UNREAD]++;
		return false;
	case READ_FAULT:
		return false;
	case READ_OK:
		break;
	}
	/* With AT_EMPTY_PATH the call concerns the descriptor's own file, seen when it was opened. */
	if (path[0] == '\0') {
		if (pending->call->use != USE_EXECUTE || !path_of_descriptor(process->id, root, directory, full))
			return false;
	} else if (!absolute(process->id, root, directory, path, full)) {
		return false;
	}
	accept_name(pending);
	return true;
}

static int directory_of(int place, const uint64_t arguments[6])
{
	return place < 0 ? AT_FDCWD : (int)arguments[place];
}

static void add_address(struct process *process, const struct root *root, uint64_t address, uint64_t size)
{
	struct sockaddr_un name = { 0 };
	struct pending *pending = &process->pending;

	if (size > sizeof(name))
		size = sizeof(name);
	if (size <= offsetof(struct sockaddr_un, sun_path))
		return;
	enum reading reading = read_memory(process->id, address, &name, size);
	counters[UNREAD] += reading == READ_REFUSED;
	/* An address that begins with a NUL is not in a file system (unix(7)). */
	if (reading != READ_OK || name.sun_family != AF_UNIX || name.sun_path[0] == '\0')
		return;
	char path[sizeof(name.sun_path) + 1] = "";
	memcpy(path, name.sun_path, sizeof(name.sun_path));
	if (absolute(process->id, root, AT_FDCWD, path, next_name(pending)))
		accept_name(pending);
}

/* Adds the address of a message (struct msghdr): a pointer and a size, if it has one. */
static void add_message(struct process *process, const struct root *root, uint64_t message)
{
	struct {
		uint64_t address;
		uint32_t size;
	} header;
	uint32_t header32[2];
	bool is_32_bit = process->pending.is_32_bit;
	enum reading reading = is_32_bit ? read_memory(process->id, message, header32, sizeof(header32)) :
					   read_memory(process->id, message, &header, sizeof(header));
	counters[UNREAD] += reading == READ_REFUSED;
	if (reading != READ_OK)
		return;
	if (is_32_bit) {
		header.address = header32[0];
		header.size = header32[1];
	}
	if (header.address != 0)
		add_address(process, root, header.address, header.size);
}

/* Adds the addresses of several messages (struct mmsghdr); more than two are counted. */
static void add_messages(struct process *process, const struct root *root, uint64_t messages, uint64_t count)
{
	const struct pending *pending = &process->pending;
	/* Sizes with their padding; the kernel takes no more messages at once. */
	const uint64_t size = pending->is_32_bit ? 32 : 64, most = 1024;

	for (uint64_t i = 0; i < count && i < most; i++, messages += size) {
		if (pending->count == MOST_NAMES) {
			counters[UNREAD]++;
			return;
		}
		size_t before = pending->count;
		add_message(process, root, messages);
		/* All messages of a socket have addresses of the same kind. */
		if (pending->count == before)
			return;
	}
}

static void add_socketcall(struct process *process, const struct root *root, const uint64_t arguments[6])
{
	uint32_t values[6] = { 0 };
	size_t count = arguments[0] == SOCKET_SENDTO ? 6 : arguments[0] == SOCKET_SENDMSG ? 2 : 3;
	switch (arguments[0]) {
	case SOCKET_BIND:
	case SOCKET_CONNECT:
	case SOCKET_SENDTO:
	case SOCKET_SENDMSG:
	case SOCKET_SENDMMSG:
		break;
	default:
		return;
	}
	if (read_memory(process->id, arguments[1], values, count * sizeof(values[0])) != READ_OK)
		return;
	process->pending.what = arguments[0] == SOCKET_BIND ? "bind" : "connect";
	if (arguments[0] == SOCKET_SENDTO)
		add_address(process, root, values[4], values[5]);
	else if (arguments[0] == SOCKET_SENDMSG)
		add_message(process, root, values[1]);
	else if (arguments[0] == SOCKET_SENDMMSG)
		add_messages(process, root, values[1], values[2]);
	else
		add_address(process, root, values[1], values[2]);
}

/* Notes calls whose result only tells that the descriptor is valid. */
static void note_descriptor(struct process *process, const struct call *call, int descriptor)
{
	char full[2 * PATH_SIZE];
	const struct root *root = current_root(process);
	if (path_of_descriptor(process->id, root, descriptor, full))
		note(process, root, words[call->use], FOUND, full);
}

static bool is_not_followed(const struct call *call, const uint64_t arguments[6])
{
	if (call->use == USE_READLINK || call->use == USE_REMOVE || call->use == USE_RENAME)
		return true;
	if (call->name[0] == 'l' && call->use != USE_LINK)
		return true;
	return call->flags >= 0 && (arguments[call->flags] & AT_SYMLINK_NOFOLLOW) != 0;
}

/* Returns whether the result is known: what was found stays used, and what was absent is still absent. */
static bool is_known(struct process *process)
{
	struct pending *pending = &process->pending;
	unsigned int results =
		seen(seen_key(pending->what, process->program, pending->root, pending->paths[0]));
	if (pending->may_create)
		return !pending->exclusive && (results & (FOUND | CREATED)) != 0;
	return (results & FOUND) ||
	       ((results & ABSENT) && is_absent(pending->root, pending->paths[0], pending->no_follow));
}

/*
 * Returns whether everyone may use the file as the call requires, so that the file's existence determines the result.
 */
static bool is_free(const struct pending *pending, const uint64_t arguments[6], mode_t mode)
{
	uint64_t flags = pending->open_flags, asked;

	switch (pending->call->use) {
	case USE_STAT:
	case USE_READLINK:
		return true;
	case USE_ACCESS:
		asked = arguments[pending->call->path + 1];
		if (asked & ~(uint64_t)(R_OK | X_OK))
			return false;
		return (mode & asked) == asked && (mode >> 3 & asked) == asked && (mode >> 6 & asked) == asked;
	case USE_OPEN:
		if (strcmp(pending->call->name, "openat2") == 0 ||
		    (flags & O_NOATIME) || ((flags & O_DIRECTORY) && !S_ISDIR(mode)))
			return false;
		if (flags & O_PATH)
			return true;
		return (flags & O_ACCMODE) == O_RDONLY && (S_ISREG(mode) || S_ISDIR(mode)) &&
		       (mode & 0444) == 0444;
	default:
		return false;
	}
}

/*
 * Determines the result without waiting for it, which would cost as much as the call itself: with the same rights and
 * files as the process, the observer finds the same. Returns 0 if unknown.
 */
static enum result foreseen(const struct pending *pending, const uint64_t arguments[6])
{
	mode_t mode;
	if (rights_differ() || pending->may_create)
		return 0;
	switch (look_up(pending->root, pending->paths[0], pending->no_follow, &mode)) {
	case ENOENT:
		return ABSENT;
	case 0:
		return is_free(pending, arguments, mode) ? FOUND : 0;
	default:
		return 0;
	}
}

/* Notes what is known of the result in advance. Returns false if the result must be awaited. */
static bool is_answered(struct process *process, const uint64_t arguments[6])
{
	struct pending *pending = &process->pending;
	if (pending->count != 1)
		return false;
	switch (pending->call->use) {
	case USE_OPEN:
	case USE_STAT:
	case USE_ACCESS:
	case USE_READLINK:
	case USE_CHDIR:
		break;
	default:
		return false;
	}
	if (is_known(process))
		return true;
	enum result result = foreseen(pending, arguments);
	if (result == 0)
		return false;
	note(process, pending->root, pending->what, result, pending->paths[0]);
	return true;
}

static void add_names(struct process *process, const uint64_t arguments[6])
{
	struct pending *pending = &process->pending;
	const struct call *call = pending->call;
	const struct root *root = pending->root;

	switch (call->use) {
	case USE_CONNECT:
	case USE_BIND:
		add_address(process, root, arguments[1], arguments[2]);
		break;
	case USE_SEND:
		add_address(process, root, arguments[4], arguments[5]);
		break;
	case USE_MESSAGE:
		add_message(process, root, arguments[1]);
		break;
	case USE_MESSAGES:
		add_messages(process, root, arguments[1], (uint32_t)arguments[2]);
		break;
	case USE_SOCKETCALL:
		add_socketcall(process, root, arguments);
		break;
	default:
		if (call->path >= 0 &&
		    add_name(process, root, directory_of(call->directory, arguments), arguments[call->path]) &&
		    call->path2 >= 0)
			add_name(process, root, directory_of(call->directory2, arguments),
				 arguments[call->path2]);
	}
}

/* Sees to it that a call finds the processors of each process as they are without the observer. */
static void prepare_processors(struct process *process, const struct call *call, pid_t target)
{
	if (strcmp(call->name, "sched_getaffinity") != 0)
		processors_chosen(process);
	else if (target == 0 || target == process->id)
		hold_no_more(process);
	else
		hold_nothing();
}

/* Handles calls inspected for reasons other than a name. Returns false for calls with names. */
static bool begin_other(struct process *process, const struct call *call, const uint64_t arguments[6])
{
	switch (call->use) {
	case USE_LIST:
	case USE_FCHDIR:
		note_descriptor(process, call, (int)arguments[0]);
		return true;
	case USE_PTRACE:
		counters[TRACERS]++;
		return true;
	case USE_LISTENER:
		counters[LISTENERS]++;
		return true;
	case USE_RIGHTS:
	case USE_PRCTL:
		rights_changed();
		/* With other rights, it could not be let go. */
		hold_no_more(process);
		return true;
	case USE_PROCESSORS:
		prepare_processors(process, call, (pid_t)arguments[0]);
		return true;
	default:
		return false;
	}
}

/* Returns whether the end of the call must be inspected; process->pending then describes it. */
static bool inspect(struct process *process, const struct call *call, bool is_32_bit,
		    const uint64_t arguments[6])
{
	struct pending *pending = &process->pending;

	if (call->use == USE_MOUNT)
		everything_is_served();
	if (call->use == USE_NAMESPACE || call->use == USE_CLONE)
		rights_changed();
	*pending = (struct pending){
		.call = call,
		.what = words[call->use],
		.is_32_bit = is_32_bit,
		.no_follow = is_not_followed(call, arguments),
		.moves_root = call->use == USE_ROOT || call->use == USE_NAMESPACE || call->use == USE_CLONE,
		.root = current_root(process),
	};
	if (call->use == USE_OPEN)
		prepare_open(process, arguments);
	add_names(process, arguments);
	if (call->use == USE_OPEN && pending->count == 1 && tells_processors(pending->paths[0]))
		hold_nothing();
	if (is_answered(process, arguments))
		return false;
	/* The result does not tell whether the file existed before. */
	if (pending->may_create && !pending->exclusive && pending->count == 1)
		pending->may_create = is_absent(pending->root, pending->paths[0], false);
	return pending->count > 0 || pending->moves_root || call->use == USE_HANDLE;
}

bool begin_call(struct process *process, uint32_t machine, uint64_t number, const uint64_t arguments[6])
{
	const struct call *call = find_call(machine, number);

	clear_pending(&process->pending);
	/* Before the command is executed, the calls are made by the observer's own code. */
	if (!process->has_started && (call == NULL || call->use != USE_EXECUTE))
		return false;
	if (call == NULL) {
		counters[UNREAD]++;
		return false;
	}
	if (begin_other(process, call, arguments))
		return false;
	if (inspect(process, call, machine == AUDIT_ARCH_I386, arguments)) {
		keep_names(&process->pending);
		return true;
	}
	process->pending = (struct pending){ 0 };
	return false;
}

/* Returns what a call's result tells about its name; 0 if nothing. */
static enum result result_of(int64_t answer)
{
	switch (answer) {
	case -ENOENT:
	case -ENOTDIR:
		return ABSENT;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return DENIED;
	case -EFAULT:
	case -ENAMETOOLONG:
	case -EBADF:
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -EINTR:
	case -ENOSYS:
		return 0;
	default:
		/* ERESTARTSYS and similar, visible only to the kernel and tracers: the call is restarted. */
		return answer <= -512 && answer >= -516 ? 0 : FOUND;
	}
}

/* Files in /proc may be aliases of other files: the descriptor tells which file was opened. */
static void note_magic(struct process *process, const struct pending *pending, int64_t descriptor)
{
	char full[2 * PATH_SIZE];
	bool is_magic = pending->call->use == USE_HANDLE || strncmp(pending->paths[0], "/proc/", 6) == 0 ||
			strncmp(pending->paths[0], "/dev/fd/", 8) == 0;
	if ((!is_magic && !may_hold()) ||
	    !path_of_descriptor(process->id, pending->root, (int)descriptor, full))
		return;
	if (tells_processors(full))
		hold_nothing();
	if (is_magic)
		note(process, pending->root, pending->what, FOUND, full);
}

static void note_answer(struct process *process, const struct pending *pending, int64_t answer)
{
	enum result result = result_of(answer);
	if (result == 0 || pending->count == 0)
		return;
	switch (pending->call->use) {
	case USE_MAKE:
	case USE_BIND:
		result = answer == 0 ? CREATED : result;
		break;
	case USE_LINK:
	case USE_RENAME:
		if (answer == 0 && pending->count > 1) {
			note(process, pending->root, pending->what, FOUND, pending->paths[0]);
			note(process, pending->root, pending->what, CREATED, pending->paths[1]);
			/* In pairs, so that a result applies to both. */
			return;
		}
		break;
	default:
		if (pending->may_create && answer >= 0)
			result = CREATED;
	}
	note(process, pending->root, pending->what, result, pending->paths[0]);
	if (pending->call->use == USE_OPEN && answer >= 0)
		note_magic(process, pending, answer);
	/* The second path of mount(2), pivot_root(2), move_mount(2) and sendmmsg(2) is used like the first. */
	if (pending->count > 1 && pending->call->use != USE_LINK && pending->call->use != USE_RENAME)
		note(process, pending->root, pending->what, result, pending->paths[1]);
}

void end_call(struct process *process, int64_t answer)
{
	struct pending pending = process->pending;
	if (pending.call == NULL)
		return;
	process->pending = (struct pending){ 0 };
	if (!process->has_started) {
		/* Directories of PATH without the command. */
		clear_pending(&pending);
		return;
	}
	if (pending.call->use == USE_HANDLE && answer >= 0)
		note_magic(process, &pending, answer);
	else
		note_answer(process, &pending, answer);
	if (pending.moves_root && answer >= 0)
		roots_changed();
	clear_pending(&pending);
}

void guess_call(struct process *process)
{
	struct pending *pending = &process->pending;
	if (pending->call == NULL)
		return;
	bool moves = pending->moves_root;
	for (size_t i = 0; i < pending->count; i++) {
		bool absent = is_absent(pending->root, pending->paths[i], pending->no_follow);
		enum result result = pending->may_create || pending->call->use == USE_MAKE ? CREATED : ABSENT;
		note(process, pending->root, pending->what, absent ? result : FOUND, pending->paths[i]);
	}
	clear_pending(pending);
	if (moves)
		roots_changed();
}
