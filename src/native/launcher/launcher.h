/*
 * invoke_ns: runs a command in a new root and in namespaces of its own.
 *
 * The parent makes the child in its namespaces (clone(2)), passes signals on and returns what became
 * of it. The child makes its root, gives up its rights, and becomes the command; with --init it stays
 * as the first process of the jail, and a child of its own becomes the command.
 *
 * The short options are those of the original program and add nothing to what they say. All that
 * protects the host has a long option, and jailbuild run gives them.
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/* A descriptor that is closed at the end of its scope; errno stays as it is. */
static inline void close_scoped(const int *fd)
{
	int reason = errno;
	if (*fd >= 0)
		close(*fd);
	errno = reason;
}
#define scoped_fd __attribute__((cleanup(close_scoped))) int

/* Exit statuses of our own, as those of env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

enum mount_kind {
	/* What is mounted at a path, or at a descriptor, of the outside. */
	MOUNT_BIND,
	/* A directory of the outside that stays as it is, whatever is written to it. */
	MOUNT_OVERLAY,
	MOUNT_FILESYSTEM,
	/* A file with what a descriptor holds, mounted. */
	MOUNT_DATA,
	/* A device node of its own, mounted. */
	MOUNT_DEVICE,
	/* Nothing to be seen of what is there. */
	MOUNT_MASK,
	/* What is there, read-only. */
	MOUNT_PROTECT,
	/* In the jail's own files: what a descriptor holds, a directory, a symbolic link, a mode. */
	MAKE_FILE,
	MAKE_DIRECTORY,
	MAKE_LINK,
	CHANGE_MODE,
};

/* What an option puts into the jail. They are put there in their order. */
struct mount {
	enum mount_kind kind;
	/* Outside of the jail, or the text of a symbolic link; NULL if there is none. */
	const char *source;
	/* In the jail. */
	const char *target;
	/* Of a file system, and its options, comma-separated, or NULL. */
	const char *type;
	const char *data;
	/* ATTRIBUTE_... */
	unsigned int attributes;
	/* The source need not be there. */
	bool is_optional;
	/* Without what is mounted below the source. */
	bool is_flat;
	/* Of what is made; MODE_UNSET where the option says nothing of it. */
	mode_t mode;
	dev_t device;
	/* The descriptor that an option names, or -1. */
	int fd;
	/* The source, taken before it is out of reach. */
	int tree;
	/* Of an overlay: where what is written goes, and what is needed beside it; NULL for memory. */
	const char *upper, *work;
	int upper_fd, work_fd;
};
#define MODE_UNSET ((mode_t)-1)

/*
 * A process may signal its whole process group, and so those of it that are outside. So the command has
 * a group of its own, unless the terminal is to reach it and others alike.
 */
enum job_group {
	/* Ours. */
	GROUP_SHARED,
	/* Its own, which no terminal concerns. */
	GROUP_OWN,
	/* Its own; the terminal is given to it, if it is ours to give. */
	GROUP_TERMINAL,
	GROUP_FOREGROUND,
};

/* The values of an option that may be given several times. */
struct list {
	const char **items;
	size_t count;
};

struct descriptors {
	int *items;
	size_t count;
};

/* A set of capabilities, by their numbers (capabilities(7)). */
typedef uint64_t caps;

struct options {
	bool verbose;

	/* Namespaces. */
	bool new_pid;
	bool new_mount;
	bool new_net;
	bool new_uts;
	bool new_ipc;
	bool new_cgroup;
	bool new_time;
	bool new_user;
	const char *hostname;
	/* TYPE=PATH */
	struct list joined;
	/* PID[:START] of a process whose namespaces are joined, or NULL. */
	const char *join;
	/* Namespaces that may be missing. */
	bool try_user;
	bool try_cgroup;
	bool disable_userns;
	bool assert_no_userns;
	/* NAME=VALUE */
	struct list sysctls;
	/* Seconds to add to the clocks of a new time namespace, or NULL. */
	const char *monotonic;
	const char *boottime;
	/* Lines of uid_map and gid_map, as INSIDE:OUTSIDE:COUNT. */
	struct list uid_maps;
	struct list gid_maps;
	/* -i was given: pass a message over a queue, as a demonstration. */
	bool show_queue;

	/* Files. */
	/* The new root, or NULL. */
	const char *root;
	bool read_only;
	bool no_devices;
	bool make_dev;
	bool no_proc;
	bool mask_proc;
	struct mount *mounts;
	size_t mount_count;
	/* "tmpfs", or a directory that keeps what is written to the root; or NULL. */
	const char *overlay;
	/* Where to write what the overlay holds at the end, or -1; and whether to do nothing else. */
	int changes_fd;
	bool lists_changes;
	/* Working directory in the new root, or NULL for its top. */
	const char *cwd;

	/* Limits; NULL for none. */
	const char *memory;
	const char *pids;
	const char *cpu_quota;
	struct list cgroup_directories;
	const char *oom_score;
	/* NAME=SOFT[:HARD] */
	struct list rlimits;

	/* Rights. */
	const char *user;
	/* Comma-separated, or NULL. */
	const char *groups;
	const char *exec_label;
	bool limit_caps;
	caps caps;
	caps ambient;
	bool no_new_privs;
	/* Each "default", "off" or the path of a file. */
	struct list seccomp;
	/* A file with rules for Landlock, or NULL. */
	const char *landlock;
	bool new_keyring;
	/* Octal, or NULL. */
	const char *umask;
	bool sealed;
	/* The caller is jail_observer, and observes the command. */
	bool observed;

	/* The process. */
	bool die_with_parent;
	/* A process whose end ends the jail, or NULL. */
	const char *die_with;
	bool init;
	/* Descriptors that an option names, and of these the ones that the command gets. */
	struct descriptors named;
	struct descriptors passed;
	/* Those that the first process holds open. */
	struct descriptors held;
	/* How many of those passed are LISTEN_FDS; or NULL. */
	const char *listen_fds;
	/* Descriptors, or -1. */
	int info_fd;
	int status_fd;
	int block_fd;
	/* Files of the jail to hold a lock on. */
	struct list lock_files;
	/* The command's name for itself, or NULL. */
	const char *argv0;
	/* How the command shares signals of a terminal; with an init alone. */
	enum job_group group;
	bool new_session;
	bool pty;
	/* Who gets our end of it, or NULL. */
	const char *console_socket;
	bool detach;
	/* The jail's end of the new terminal. */
	int terminal;
	/* NULL-terminated; ends with what --env names. One place is left for HOME. */
	char **env;
	size_t env_count;
	/* The standard input is a file that nobody in the jail is to write to. */
	bool protects_input;
	/* A file with further arguments, or the number of a descriptor, until it is read. */
	const char *args;
	/* The command, NULL-terminated; NULL for a shell. */
	char **command;
	/* Our own arguments. */
	char **argv;
	/* With those of files in their places. */
	char **words;
	/* Of options that say all when they are read. */
	const char *ignored;
};

/* options.c */
/* A row of the table of options (option_table.h). */
struct row;
void parse_options(struct options *options, int argc, char **argv);

/* option_values.c */
/* The whole text as a number, or -1. */
long long parse_number(const char *text, int base);
void add_descriptor(struct descriptors *list, int fd);

/* memory.c: what is kept to the end of the process. */
void *allocate(size_t size);
/* A copy of a list with room for one more, and behind it the end of a list of texts. */
void *grown(const void *list, size_t count, size_t size);
char *copy_of(const char *text);

/* log.c */
void log_as(const char *who, bool verbose);
void log_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names the step and the path that failed, with strerror of errno, and ends with status 125. */
_Noreturn void die_errno(const char *step, const char *path);
/* As die_errno, and says what to do about it; advice may be NULL. */
_Noreturn void die_advised(const char *step, const char *path, const char *advice);
/* As die_errno, where no system call has a reason to give. */
_Noreturn void die(const char *message, const char *value);

/* Says the same, and what is done in spite of it. */
void warn(const char *step, const char *consequence);

/* What die and die_errno do before they end. */
void at_failure(void (*does)(void));

/* advice.c: the cause that the kernel does not name, and its cure; or NULL. */
/* Of a namespace that is refused. */
const char *namespace_advice(const struct options *options);
const char *proc_advice(void);
const char *delegation_advice(void);

/* descriptors.c */
/* Closes all descriptors from one on, but for some. */
void close_others(unsigned int first, const struct descriptors *kept);
void open_standard_streams(void);
void refuse_directories(void);
/* The other end of a socket at a path. */
int connect_to(const char *path);
/* Sends a descriptor, or receives one; -1 if the other end has ended before it sent one. */
void send_descriptor(int channel, int fd);
int receive_descriptor(int channel);
/* True if our input is a file to read, which no process of the jail is to write to. */
bool has_input_file(void);
/* Reopens it below a read-only mount. Returns a descriptor of it, or -1 if it cannot be found. */
int protect_input(void);

/* seal.c */
void run_sealed_copy(char **argv);

/* userns.c */
void write_id_maps(pid_t child, const struct options *options);
void become_mapped_root(const struct options *options);
/* True if root of the user namespace is not who calls us, and so may not write where we may. */
bool has_other_root(const struct options *options);

/* join.c */
void join_paths(const struct options *options);
void join_process(const struct options *options);

/* labels.c */
/* Which security module takes the label, as long as that can be seen. */
void find_label_module(const struct options *options);
void set_exec_label(const struct options *options);

/* cgroup.c */
/* Those of a process that we are not in, for the child to join. */
void find_cgroups_of(const char *process);
/* Opened by the parent, joined by the child, removed by the parent. */
void make_cgroup(const struct options *options);
void join_cgroup(void);
void remove_cgroup(void);

/* namespaces.c */
void bring_loopback_up(void);
void set_hostname(const char *hostname);
void set_oom_score(const char *score);
void set_sysctls(const struct options *options);
void disable_user_namespaces(const struct options *options);
/* Of what the command may do, but for the filter; the default one allows none. */
void assert_user_namespaces_disabled(const struct options *options);
void enter_time_namespace(const struct options *options);

/*
 * filesystem.c: mounting by descriptor. A path that goes with a descriptor is for the message alone.
 */
/* MOUNT_ATTR_... of linux/mount.h, which does not go together with sys/mount.h. */
enum {
	ATTRIBUTE_READ_ONLY = 0x1,
	ATTRIBUTE_NOSUID = 0x2,
	ATTRIBUTE_NODEV = 0x4,
	ATTRIBUTE_NOEXEC = 0x8,
	ATTRIBUTE_NOATIME = 0x10,
	ATTRIBUTE_STRICTATIME = 0x20,
	ATTRIBUTE_NODIRATIME = 0x80,
};
/* places.c */
struct stat;
void find_record(int root);
void note_place(int root, int place);
void restore_time(int directory, const struct stat *before);

/* Opens a path of the jail, or returns -1. */
int open_in_root(int root, const char *path, int flags);
/* Opens a place to mount on; what of it is not there yet is made in the jail, and stays. */
int make_mount_point(int root, const char *path, bool directory);
/* Makes a file system that is mounted nowhere yet. Data are its options, comma-separated, or NULL. */
int make_filesystem(const char *type, unsigned int attributes, const char *data);
/* A copy of what is mounted at a path and below, or at the descriptor if the path is empty; or -1. */
int clone_tree(int directory, const char *path);
/* The same without what is mounted below. */
int clone_mount(int directory, const char *path);
/* Adds attributes to a mount and to all below it, and makes them private. */
void set_attributes(int tree, unsigned int attributes, const char *path);
/* Changes the one mount alone. */
void set_read_only(int tree, bool read_only, const char *path);
/* Mounts a tree on a name in a directory, or on the descriptor if the name is empty. */
void attach(int tree, int directory, const char *name, const char *path);

/* An empty directory or file, to lie upon what is not to be seen. */
int empty_tree(bool directory);
/* A file system on the root of the jail for files to be mounted from, one after the other, in there. */
int open_workshop(int root);
/* Takes what was made there, as a tree. */
int take_from_workshop(int workshop);
void close_workshop(int workshop);

/* overlay.c */
/*
 * A file system over the root that takes what is written; mounted on the root, and returned. The layer that
 * takes it is opened as well.
 */
int mount_overlay(int root, const char *where, const char *path, int *upper);
int open_layer(const char *path);
/* The same over a directory of the outside, to be mounted at a place of the jail. */
int make_overlay_of(const struct mount *mount, int place);

/* overlay_changes.c */
/* Writes what a layer changes of a root: docs/launcher.md has the records. */
void write_changes(int fd, int upper, const char *root);

/* root.c */
void change_root(const char *root);
/* Makes the places to mount on that are missing, as ourselves and in our own mount namespace. */
void make_places(const struct options *options);
/* In a mount namespace of our own: makes the root with all that is mounted in it, and enters it. */
void make_root(struct options *options, int channel);

/* proc.c */
void mount_proc(int root, bool masked);

/* dev.c */
void mount_dev(int root);
/* Makes a terminal the jail's /dev/console. */
void bind_console(int root, int terminal_tree);

/* Who the command is to be. */
struct identity {
	uid_t uid;
	gid_t gid;
	/* Empty where passwd says nothing of the user. */
	char home[256];
};

/* privileges.c */
caps parse_caps(const char *names);
void leave_keyring(void);
void set_rlimits(const struct list *limits);
void give_up_rights(const struct options *options, const struct identity *identity);
/* Gives up what the installation of a filter took, and installs it. */
void give_up_last_rights(void);
void keep_only_kill(void);

/* passwd.c */
void look_up_user(const char *user, struct identity *identity);

/* seccomp.c */
void load_filters(const struct list *which);
bool has_filter(void);
/* Nothing but execve(2) need be allowed from then on. */
void install_filters(void);
_Noreturn void list_denied(void);

/* landlock.c */
/* Reads the rules from a file of the outside; NULL for none. */
void load_landlock(const char *path);
/* In the jail, by whom all its paths can be reached. */
void make_landlock_rules(void);
void limit_by_landlock(void);

/* observed.c */
/* The descriptor that leads to the observer. */
enum { OBSERVER = 3 };
/* Lets the observer trace this process, and receives its filter for system calls. */
void meet_observer(void);
/* Installs that filter, where there is an observer. */
void install_observation(void);
/* Lets the observer read the memory of this process, where there is an observer. */
void be_observable(void);

/* terminal.c */
/* Opens a new terminal of the jail, sends its master over the channel, and returns the other end. */
int open_pty(int channel, bool has_console);
/* Makes a terminal the standard streams. */
void use_terminal(int terminal);
/* Makes a terminal the controlling one of a new session, and its standard streams. */
void take_terminal(int terminal);
/* Between our own standard streams and a new terminal: begin, carry what there is, end. */
enum { RELAY_POLLS = 4 };
struct pollfd;
void begin_relay(int master);
/* Of what is left once the jail is gone, only output is carried. Returns false if there is none. */
bool prepare_relay(struct pollfd *polls, bool is_over);
void carry(const struct pollfd *polls);
void resize_terminal(void);
void end_relay(void);

/* status.c: what supervisors are told, and what they hold the jail by. */
void write_info(const struct options *options, pid_t child);
void write_exit_status(const struct options *options, int status);
void take_locks(struct options *options);
/* True if the parent is to know when the jail is there. */
bool reports_jail(const struct options *options);
void wait_until_unblocked(const struct options *options);

/* child.c */
bool awaits_parent(const struct options *options);
_Noreturn void become_child(struct options *options, int channel);

/* init.c */
void rename_to_init(char **argv);
_Noreturn void be_init(pid_t command, const struct options *options, int channel);

/* process_group.c */
enum job_group choose_group(const struct options *options);
/* Makes the process group of the command. */
void enter_group(enum job_group group);
/* True if the terminal is that of our process group. */
bool has_terminal(void);
/* Makes a group the terminal's foreground one, from whatever group we are in. */
void give_terminal(pid_t group);
/* Makes ours the terminal's foreground group once the jail, whose group was that, is gone. */
void take_back_terminal(void);

/* mqueue_demo.c */
void create_queue(void);
void send_over_queue(void);
void receive_from_queue(void);

/* wait.c */
/* The jail is killed when the process that called us ends, however it ends. */
void tie_to_caller(pid_t caller);
/* The same for the process that called our caller, by its number. */
void tie_to_process(const char *process);
void hold_signals(void);
void release_signals(void);
/* Returns the exit status for what became of the child. */
int wait_for(pid_t child, const struct options *options, int channel, int pty);

#endif
