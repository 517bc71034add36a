/*
 * jail_observer: runs a command and reports which files it and its descendants use.
 *
 * A filter for system calls stops the command at each call that names a file (seccomp(2),
 * SECCOMP_RET_TRACE); the observer, its tracer (ptrace(2)), reads the name there and the kernel's answer
 * at the end of the call. The command starts, stops, gets signals and ends as it would without that.
 *
 * The observed programs are not trusted. They cannot trace the observer nor take its descriptors
 * (PR_SET_DUMPABLE); what they name is only read as text, or looked up below their own root without
 * being opened; nothing is written but the report.
 */
#ifndef OBSERVER_H
#define OBSERVER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit statuses of our own, as those of env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* The longest path, with its zero byte (limits.h, PATH_MAX). */
enum { PATH_SIZE = 4096 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a system call uses a path for. */
enum use {
	USE_OPEN,
	USE_STAT,
	USE_ACCESS,
	USE_READLINK,
	USE_EXECUTE,
	USE_CHDIR,
	USE_FCHDIR,
	USE_LIST,
	USE_MAKE,
	USE_LINK,
	USE_RENAME,
	USE_REMOVE,
	USE_CHANGE,
	USE_MOUNT,
	USE_WATCH,
	USE_CONNECT,
	USE_BIND,
	USE_SEND,
	/* One number for all that sockets do (socketcall(2)). */
	USE_SOCKETCALL,
	/* Opens a file by a handle, without a name. */
	USE_HANDLE,
	/* These change what the names of a process mean. */
	USE_ROOT,
	USE_NAMESPACE,
	/* These change what a process may do. */
	USE_RIGHTS,
	USE_PRCTL,
	/* These would hide processes or calls from the observer. */
	USE_CLONE,
	USE_PTRACE,
	USE_LISTENER,
	/* Answered with ENOSYS: what it would do passes unseen. */
	USE_REFUSE,
	USES,
};

enum { X86_64, I386, ARM64, MACHINES };

struct call {
	const char *name;
	int numbers[MACHINES];
	enum use use;
	/* Places of arguments, or -1. */
	int directory, path, directory2, path2, flags;
};

enum mechanism { BY_PTRACE, BY_NOTIFICATION };

struct options {
	enum mechanism mechanism;
	/* Descriptor that the report is written to. */
	int report;
	/* Milliseconds for which to observe what still runs when the command has ended. */
	int linger;
	/* The command is the launcher, and says when the command of its own is about to start. */
	bool launcher;
	/* Report the number of every system call as well. */
	bool all_calls;
	char **command;
};

/* die.c */
/* Names the step that failed, with strerror of errno, and ends with status 125. */
_Noreturn void die(const char *step);
/* Says what is wrong and what would help, and ends with status 125. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calls.c */
/* The call of a number of a machine (AUDIT_ARCH_...), or NULL. */
const struct call *find_call(uint32_t machine, uint64_t number);
extern const struct call calls[];
extern const size_t call_count;

/* filter.c */
/* Assembles the filter for system calls: `stop` is what it answers for a call to look at. */
const struct sock_fprog *make_filter(uint32_t stop, bool all_calls);

/* memory.c */
enum reading { READ_OK, READ_FAULT, READ_REFUSED };
/* Reads memory of an observed process; a program's own wrong address is a fault. */
enum reading read_memory(pid_t process, uint64_t address, void *to, size_t size);
/* Reads a path with its zero byte. */
enum reading read_path(pid_t process, uint64_t address, char to[PATH_SIZE]);

/* root.c */
/* What `/` is for a process. */
struct root {
	/* Its directory, and the mount namespace that it is in. */
	uint64_t device, inode, namespace;
	/* Names mean what they mean in the first root, put behind the prefix. */
	bool is_known;
	/* It is the first root itself, in the first mount namespace. */
	bool is_first;
	/* The text that /proc has for it, which stands before its paths there. */
	char *text;
	char *prefix;
};
/* The root that a process has now. The first one asked about is the first root. */
const struct root *root_of(pid_t process);
/* Notes that roots or namespaces have been changed. */
void roots_changed(void);
/* Counts those changes. */
unsigned int root_generation(void);
/* True if a path of the first root leads to nothing. Links are followed, but for the last name if told so. */
bool is_absent(const struct root *root, const char *path, bool no_follow);
/*
 * Looks up a path of the first root where that is what the process itself would find: sets `mode` to the
 * type and permissions. Returns 0, ENOENT for what is absent, or another error for what is not known.
 */
int look_up(const struct root *root, const char *path, bool no_follow, mode_t *mode);
/* Notes that the run has mounted something, which may be a file system that waits for us. */
void mounts_changed(void);

/* path.c */
/*
 * Makes an absolute path of the first root of what a process names, relative to a descriptor or
 * AT_FDCWD. Returns false if what the descriptor is cannot be told.
 */
bool absolute(pid_t process, const struct root *root, int directory, const char *path, char to[2 * PATH_SIZE]);
/* The path of what a descriptor of a process refers to; false if it has none. */
bool path_of_descriptor(pid_t process, const struct root *root, int descriptor, char to[2 * PATH_SIZE]);

/* seen.c */
enum result { FOUND = 1, ABSENT = 2, DENIED = 4, CREATED = 8 };
/* A key for what is asked once only. */
uint64_t seen_key(const char *what, const char *program, const struct root *root, const char *path);
/* The results that were noted for it, one or several. */
unsigned int seen(uint64_t key);
/* Notes a result; false if it was noted before. */
bool note_seen(uint64_t key, enum result result);

/* report.c */
enum counter {
	/* Names or descriptors that could not be read. */
	UNREAD,
	/* Uses of files in roots whose place is not known. */
	ELSEWHERE,
	/* Uses that were not noted, for want of memory. */
	DROPPED,
	/* Attempts to trace a process, which fail under observation. */
	TRACERS,
	/* Listeners for system calls, behind which calls are not seen. */
	LISTENERS,
	STOPS,
	COUNTERS,
};
extern unsigned long counters[COUNTERS];
void open_report(int descriptor);
/* Adds a record of four strings, each with its zero byte. */
void report(const char *what, const char *result, const char *program, const char *path);
/* Adds why nothing can be observed, at once; false if there is no report. */
bool report_failure(const char *message);
/* Adds, at once, that the command cannot be executed. */
void report_no_start(void);
/* Adds the counters and the exit status, and closes the report. */
void close_report(int status);

/* process.c */
enum { MOST_NAMES = 2 };
/* A call between its beginning and its end. */
struct pending {
	const struct call *call;
	const char *what;
	int machine;
	bool may_create, exclusive, moves_root, no_follow;
	/* Of a call that opens. */
	uint64_t open_flags;
	size_t count;
	char *paths[MOST_NAMES];
	const struct root *root;
};
struct process {
	pid_t id;
	/* The program's path, as a string that is never freed. */
	const char *program;
	const struct root *root;
	unsigned int generation;
	/* False until the command itself has been executed. */
	bool has_started;
	struct pending pending;
};
struct process *find_process(pid_t id);
/* Makes a process known; a child starts as its parent is. */
struct process *add_process(pid_t id, const struct process *parent);
void forget_process(pid_t id);
void clear_pending(struct pending *pending);
/* Learns anew which program a process runs. */
void learn_program(struct process *process);
const struct root *current_root(struct process *process);

/* use.c */
/* Notes that a process has other rights than we have, so that what it finds is not what we find. */
void rights_changed(void);
/*
 * Looks at a call that begins. Returns true if its end is to be looked at as well; what it is for is
 * then in process->pending.
 */
bool begin_call(struct process *process, uint32_t machine, uint64_t number, const uint64_t arguments[6]);
/* Looks at what the kernel answered to the pending call. */
void end_call(struct process *process, int64_t answer);
/* Notes a use without waiting for its end: by what the observer finds itself. */
void guess_call(struct process *process);

/* command.c */
/* Starts the command, stopped; `observed` is the process to observe, its own or the launcher's. */
struct command {
	/* Our child. */
	pid_t child;
	pid_t observed;
	/* Releases what is stopped. */
	int channel;
};
struct command start_command(const struct options *options, const struct sock_fprog *filter);
void release_command(struct command *command, const struct options *options, const struct sock_fprog *filter);

/* The listener of the filter, which the command has sent. */
int receive_listener(const struct command *command);
/* Closes the report, and lets go of what the caller has given us: we only serve from now on. */
void finish_unseen(int status);

/* signals.c */
/* Passes on to the command what others send to us; the terminal's signals reach it without us. */
void pass_signals_to(pid_t child);
/* Wakes up blocking calls from now on, every few milliseconds. */
void start_ticking(void);
/* Milliseconds of a clock that only goes forward. */
int64_t now(void);

/* tracer.c */
int trace(const struct options *options);

/* listener.c */
int listen_to_notifications(const struct options *options);

#endif
