/*
 * jail_observer: runs a command and reports which files it and its descendants use.
 *
 * A system call filter stops the command at each call that names a file (seccomp(2), SECCOMP_RET_TRACE); the observer,
 * its tracer (ptrace(2)), reads the name and, at the end of the call, the kernel's result. The command otherwise
 * starts, stops, receives signals and ends as usual.
 *
 * Observed programs are not trusted. They cannot trace the observer or take its descriptors (PR_SET_DUMPABLE); names
 * they pass are only read as text, or looked up below their own root without opening; nothing is written but the
 * report.
 */
#ifndef OBSERVER_H
#define OBSERVER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit statuses of the observer itself, as in env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* Maximum length of a path with its NUL (limits.h, PATH_MAX). */
enum { PATH_SIZE = 4096 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How a system call uses a path. */
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
	/* The address is in memory, so that the filter also stops calls without one. */
	USE_MESSAGE,
	USE_MESSAGES,
	/* All socket operations share one number (socketcall(2)). */
	USE_SOCKETCALL,
	/* Opens a file by handle, without a name. */
	USE_HANDLE,
	/* These change the meaning of a process's names. */
	USE_ROOT,
	USE_NAMESPACE,
	/* These change a process's rights. */
	USE_RIGHTS,
	USE_PRCTL,
	/* These would hide processes or calls from the observer. */
	USE_CLONE,
	USE_PTRACE,
	USE_LISTENER,
	/* These read or change the processors of a process. */
	USE_PROCESSORS,
	/* Answered with ENOSYS, since its operations could not be observed. */
	USE_REFUSE,
	USES,
};

enum { X86_64, I386, ARM64, MACHINES };

struct call {
	const char *name;
	int numbers[MACHINES];
	enum use use;
	/* Positions of arguments, or -1. */
	int directory, path, directory2, path2, flags;
};

enum mechanism { BY_PTRACE, BY_NOTIFICATION };

struct options {
	enum mechanism mechanism;
	/* Descriptor of the report. */
	int report;
	/* How long to observe remaining processes after the command has ended, in milliseconds. */
	int linger;
	/* The command is the launcher, which announces when its own command is about to start. */
	bool launcher;
	/* Report the number of every system call as well. */
	bool all_calls;
	char **command;
};

/* die.c */
/* Prints the failed step with strerror(errno), and exits with status 125. */
_Noreturn void die(const char *step);
/* Prints the problem and the remedy, and exits with status 125. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* refuse.c */
/* Explains why the kernel does not permit tracing a process, by errno (ptrace(2), "Ptrace access mode checking"). */
_Noreturn void refuse_to_trace(pid_t process);
/* Ends a process that has not started the command yet: without names, there would be nothing in its trace. */
_Noreturn void refuse_hidden_names(pid_t process);

/* calls.c */
/* Returns the call with a number on a machine (AUDIT_ARCH_...), or NULL. */
const struct call *find_call(uint32_t machine, uint64_t number);
extern const struct call calls[];
extern const size_t call_count;

/* filter.c */
/* Assembles the system call filter: `stop` is its action for calls to inspect. */
const struct sock_fprog *make_filter(uint32_t stop, bool all_calls);

/* memory.c */
enum reading { READ_OK, READ_FAULT, READ_REFUSED };
/* Reads memory of an observed process; an invalid address from the program is a fault. */
enum reading read_memory(pid_t process, uint64_t address, void *to, size_t size);
/* Reads a path with its NUL. */
enum reading read_path(pid_t process, uint64_t address, char to[PATH_SIZE]);

/* root.c */
/* The root directory of a process. */
struct root {
	/* Its directory and mount namespace. */
	uint64_t device, inode, namespace;
	/* Names resolve as in the first root, below the prefix. */
	bool is_known;
	/* It is the first root, in the first mount namespace. */
	bool is_first;
	/* Its path in /proc, the prefix of paths below it. */
	char *text;
	char *prefix;
};
/* Returns the current root of a process. The first process passed defines the first root. */
const struct root *root_of(pid_t process);
/* Notes that roots or namespaces have changed. */
void roots_changed(void);
/* Returns the number of those changes. */
unsigned int root_generation(void);
/* Returns whether a path of the first root does not exist. Follows links, except optionally for the last name. */
bool is_absent(const struct root *root, const char *path, bool no_follow);
/*
 * Looks up a path of the first root if the process itself would find the same file: sets `mode` to type and
 * permissions. Returns 0, ENOENT if absent, or another error if unknown.
 */
int look_up(const struct root *root, const char *path, bool no_follow, mode_t *mode);

/* served.c */
/* Learns which file systems below the root of a process are served by other processes. */
void learn_served(pid_t process);
/* Notes that the run has mounted something, which may be a file system that waits for the observer. */
void everything_is_served(void);
/* Returns whether looking a path up could wait for another process. Links that lead there are not followed. */
bool is_served(const char *path);
/* Returns the type and permissions of a file without asking who serves it; 0 if unknown. */
unsigned int cached_mode(const char *path);

/* path.c */
/*
 * Converts a name, relative to a descriptor or AT_FDCWD, into an absolute path of the first root. Returns false if the
 * descriptor's file cannot be determined.
 */
bool absolute(pid_t process, const struct root *root, int directory, const char *path, char to[2 * PATH_SIZE]);
/* Writes the path of a process's descriptor; returns false if it has none. */
bool path_of_descriptor(pid_t process, const struct root *root, int descriptor, char to[2 * PATH_SIZE]);

/* seen.c */
enum result { FOUND = 1, ABSENT = 2, DENIED = 4, CREATED = 8 };
/* Returns a key for a question asked only once. */
uint64_t seen_key(const char *what, const char *program, const struct root *root, const char *path);
/* Returns the results noted for a key. */
unsigned int seen(uint64_t key);
/* Notes a result; returns false if it was already noted. */
bool note_seen(uint64_t key, enum result result);

/* report.c */
enum counter {
	/* Names or descriptors that could not be read. */
	UNREAD,
	/* Uses of files in roots whose location is unknown. */
	ELSEWHERE,
	/* Uses not noted for lack of memory. */
	DROPPED,
	/* Attempts to trace a process, which fail under observation. */
	TRACERS,
	/* System call listeners, behind which calls cannot be observed. */
	LISTENERS,
	STOPS,
	COUNTERS,
};
extern unsigned long counters[COUNTERS];
void open_report(int descriptor);
/* Adds a record of four NUL-terminated strings. */
void report(const char *what, const char *result, const char *program, const char *path);
/* Adds, immediately, why nothing can be observed; returns false without a report. */
bool report_failure(const char *message);
/* Adds, immediately, that the command cannot be executed. */
void report_no_start(void);
/* Adds the counters and the exit status, and closes the report. */
void close_report(int status);

/* process.c */
enum { MOST_NAMES = 2 };
/* A call between its start and its end. */
struct pending {
	const struct call *call;
	const char *what;
	/* The size of pointers in memory. */
	bool is_32_bit;
	bool may_create, exclusive, moves_root, no_follow;
	/* Flags of a call that opens a file. */
	uint64_t open_flags;
	size_t count;
	char *paths[MOST_NAMES];
	const struct root *root;
};
struct process {
	pid_t id;
	/* Path of the program; never freed. */
	const char *program;
	const struct root *root;
	unsigned int generation;
	/* False until the command itself has been executed. */
	bool has_started;
	/* It was held on one processor; it is no longer, since it has threads or concerns itself with its processors. */
	bool was_held, is_unheld;
	struct pending pending;
	/* List of all processes. */
	struct process *next, *before;
};
/* Returns the first of all processes, in no particular order. */
struct process *first_process(void);
struct process *find_process(pid_t id);
/* Registers a process; a child inherits its parent's state. */
struct process *add_process(pid_t id, const struct process *parent);
void forget_process(pid_t id);
void clear_pending(struct pending *pending);
/* Updates which program a process runs. */
void learn_program(struct process *process);
const struct root *current_root(struct process *process);
/* Notes that a process has other rights than the observer, so that results may differ. */
void rights_changed(void);
/* Returns whether a process may have other rights than the observer, so that results may differ. */
bool rights_differ(void);

/* use.c */
/* Inspects a starting call. Returns true if its end must be inspected too; process->pending then describes it. */
bool begin_call(struct process *process, uint32_t machine, uint64_t number, const uint64_t arguments[6]);
/* Inspects the kernel's result of the pending call. */
void end_call(struct process *process, int64_t answer);
/* Notes a use without waiting for the call's end, by what the observer finds itself. */
void guess_call(struct process *process);

/* command.c */
/* Starts the command, stopped; `observed` is the process to observe, its own or the launcher's. */
struct command {
	/* The observer's child. */
	pid_t child;
	pid_t observed;
	/* Writing to it releases the stopped command. */
	int channel;
};
struct command start_command(const struct options *options, const struct sock_fprog *filter);
void release_command(struct command *command, const struct options *options, const struct sock_fprog *filter);

/* Receives the filter's listener from the command. */
int receive_listener(const struct command *command);

/* hold.c */
/* Notes that a process has stopped; holds it on one processor together with the observer if stops are frequent. */
void hold_if_busy(struct process *process);
/* Ends that if it is of no more use. To be called at each tick. */
void look_at_held(void);
/* Lets go of a process until it executes another program. */
void hold_no_more(struct process *process);
/* Notes that a process has ended. */
void held_ended(pid_t id);
/* Lets go of every process, for the rest of the run. */
void hold_nothing(void);
/* The same, since a process is about to choose processors, its own or those of others. */
void processors_chosen(struct process *process);
/* Returns whether a path may be that of a file in /proc that shows the processors of a process. */
bool tells_processors(const char *path);
/* Returns whether a process may be held, now or later. */
bool may_hold(void);
/* Releases every process if the command has inherited a file that shows processors. */
void look_at_inherited(pid_t command);
/* Lets a new process run where its parent does if that is held, and otherwise where it would without observation. */
void place_child(pid_t child, const struct process *parent);

/* signals.c */
/* Forwards signals from others to the command; the terminal's signals reach it directly. */
void pass_signals_to(pid_t child);
/* Interrupts blocking calls from now on, every so many milliseconds; never with 0. */
void tick_every(int milliseconds);
/* Returns milliseconds of a monotonic clock. */
int64_t now(void);

/* linger.c */
/* How the command ended, and until when the processes that it left are observed. */
struct observation {
	/* Its exit status, or 128 + the number of its signal. */
	int result;
	bool has_ended;
	/* The report is closed, and calls are only answered. */
	bool is_over;
	/* On the clock of now(). */
	int64_t end;
};
/* Notes the status of the command (wait(2)). */
void command_ended(struct observation *observation, int status, const struct options *options);
/* Once the time for the remaining processes is over, closes the report and the caller's descriptors. */
void end_in_time(struct observation *observation);
/* Closes the report, if that has not happened, and returns the result. */
int end_of(const struct observation *observation);

/* tracer.c */
int trace(const struct options *options);

/* listener.c */
int listen_to_notifications(const struct options *options);

#endif
