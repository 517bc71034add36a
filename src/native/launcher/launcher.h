/*
 * invoke_ns: runs a command in a new root and in new namespaces.
 *
 * The parent creates the child in its namespaces (clone(2)), forwards signals and returns its exit status. The child
 * sets up its root, gives up its rights, and becomes the command; with --init it stays as the first process of the
 * jail, and a child of it becomes the command.
 *
 * Short options are those of the original program and do only what they say. All protections of the host have long
 * options, which jailbuild run passes.
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

/* Closes a descriptor at the end of its scope; preserves errno. */
static inline void close_scoped(const int *fd)
{
	int reason = errno;
	if (*fd >= 0)
		close(*fd);
	errno = reason;
}
#define scoped_fd __attribute__((cleanup(close_scoped))) int

/* Exit statuses of the launcher itself, as in env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

enum mount_kind {
	/* Bind mount of an outside path or descriptor. */
	MOUNT_BIND,
	/* Overlay on an outside directory, which stays unchanged. */
	MOUNT_OVERLAY,
	MOUNT_FILESYSTEM,
	/* A mounted file with the content of a descriptor. */
	MOUNT_DATA,
	/* A mounted new device node. */
	MOUNT_DEVICE,
	/* Hides what is at a path. */
	MOUNT_MASK,
	/* Makes what is at a path read-only. */
	MOUNT_PROTECT,
	/* In the jail's own files: the content of a descriptor, a directory, a symbolic link, a mode. */
	MAKE_FILE,
	MAKE_DIRECTORY,
	MAKE_LINK,
	CHANGE_MODE,
};

/* What an option places in the jail. Carried out in order. */
struct mount {
	enum mount_kind kind;
	/* Path outside the jail, or the target of a symbolic link; NULL if there is none. */
	const char *source;
	/* Path in the jail. */
	const char *target;
	/* Type of a file system, and its comma-separated options or NULL. */
	const char *type;
	const char *data;
	/* SELinux label of its files, or NULL. */
	const char *label;
	/* ATTRIBUTE_... */
	unsigned int attributes;
	/* Whether the source may be missing. */
	bool is_optional;
	/* Leave out submounts of the source. */
	bool is_flat;
	/* Mode of a created entry; MODE_UNSET if not given. */
	mode_t mode;
	dev_t device;
	/* Owner of a device. */
	uid_t uid;
	gid_t gid;
	/* The descriptor that an option names, or -1. */
	int fd;
	/* The source, opened while it is reachable. */
	int tree;
	/* Of an overlay: its lower directories, the topmost first; the upper and work directories, NULL for memory. */
	char **lowers;
	int *lower_fds;
	size_t lower_count;
	const char *upper, *work;
	int upper_fd, work_fd;
};
#define MODE_UNSET ((mode_t)-1)

/*
 * A process may signal its whole process group, including members outside the jail. The command therefore gets its own
 * group, unless a terminal must reach both.
 */
enum job_group {
	/* The launcher's group. */
	GROUP_SHARED,
	/* Its own group, without a terminal. */
	GROUP_OWN,
	/* Its own group, made the terminal's foreground group if the launcher controls that. */
	GROUP_TERMINAL,
	GROUP_FOREGROUND,
};

/* Values of an option that may be repeated. */
struct list {
	const char **items;
	size_t count;
};

struct descriptors {
	int *items;
	size_t count;
};

/* A set of capabilities by number (capabilities(7)). */
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
	/* Namespaces to do without if refused. */
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
	/* -i: pass a message over a queue, as a demonstration. */
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
	/* "tmpfs", or a directory for writes to the root; or NULL. */
	const char *overlay;
	/* Descriptor to write the overlay's content to at the end, or -1; and whether that is all to do. */
	int changes_fd;
	bool lists_changes;
	/* SELinux label of mounted file systems, or NULL. */
	const char *mount_label;
	/* Working directory in the new root, or NULL for `/`. */
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
	/* The caller is jail_observer, which observes the command. */
	bool observed;

	/* The process. */
	bool die_with_parent;
	/* A process whose exit ends the jail, or NULL. */
	const char *die_with;
	bool init;
	/* Descriptors named by options, and those of them passed to the command. */
	struct descriptors named;
	struct descriptors passed;
	/* Descriptors that the first process keeps open. */
	struct descriptors held;
	/* Number of passed descriptors that are LISTEN_FDS; or NULL. */
	const char *listen_fds;
	/* Descriptors, or -1. */
	int info_fd;
	int status_fd;
	int block_fd;
	/* Files of the jail to lock. */
	struct list lock_files;
	/* argv[0] of the command, or NULL. */
	const char *argv0;
	/* Whether the command shares terminal signals; with an init only. */
	enum job_group group;
	bool new_session;
	bool pty;
	/* Socket that receives the terminal's master, or NULL. */
	const char *console_socket;
	bool detach;
	bool look_up;
	/* The jail's side of the new terminal. */
	int terminal;
	/* NULL-terminated; ends with the variables of --env. Has room for HOME. */
	char **env;
	size_t env_count;
	/* Standard input is a file that the jail must not write to. */
	bool protects_input;
	/* File or descriptor number with further arguments, until it is read. */
	const char *args;
	const char *own_environment;
	/* The command, NULL-terminated; NULL for a shell. */
	char **command;
	/* The launcher's own arguments. */
	char **argv;
	/* The arguments, with those from files in place. */
	char **words;
	/* For options that need no storage. */
	const char *ignored;
};

/* options.c */
/* A row of the table of options (option_table.h). */
struct row;
void parse_options(struct options *options, int argc, char **argv);

/* option_values.c */
/* Parses the whole text as a number; returns -1 on failure. */
long long parse_number(const char *text, int base);
void add_descriptor(struct descriptors *list, int fd);

/* memory.c: allocations that are never freed. */
void *allocate(size_t size);
/* Copies a list with room for one more element and a terminator. */
void *grown(const void *list, size_t count, size_t size);
char *copy_of(const char *text);

/* log.c */
void log_as(const char *who, bool verbose);
void log_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the failed step and path with strerror(errno), and exits with status 125. */
_Noreturn void die_errno(const char *step, const char *path);
/* As die_errno, and adds advice, which may be NULL. */
_Noreturn void die_advised(const char *step, const char *path, const char *advice);
/* As die_errno, for failures without an errno. */
_Noreturn void die(const char *message, const char *value);
/* Escapes control characters. */
const char *printable(const char *text);

/* Prints the same, and the consequence, and continues. */
void warn(const char *step, const char *consequence);

/* Registers what die and die_errno call before exiting. */
void at_failure(void (*does)(void));

/* advice.c: the cause that the kernel does not name, and its cure; or NULL. */
/* Returns advice for a refused namespace, or NULL. */
const char *namespace_advice(const struct options *options);
const char *proc_advice(void);
const char *delegation_advice(void);

/* descriptors.c */
/* Closes all descriptors from one on, with exceptions. */
void close_others(unsigned int first, const struct descriptors *kept);
void open_standard_streams(void);
void refuse_directories(void);
/* Connects to a socket at a path. */
int connect_to(const char *path);
/* Sends or receives a descriptor; receiving returns -1 if the other end closed without sending. */
void send_descriptor(int channel, int fd);
int receive_descriptor(int channel);
/* Returns whether standard input is a readable file, which the jail must not write to. */
bool has_input_file(void);
/* Reopens it below a read-only mount. Returns the descriptor, or -1 if its path cannot be found. */
int protect_input(void);

/* seal.c */
void run_sealed_copy(char **argv);

/* userns.c */
void write_id_maps(pid_t child, const struct options *options);
void become_mapped_root(const struct options *options);
/* Returns whether root of the user namespace is not the caller, and so lacks the caller's access to files. */
bool has_other_root(const struct options *options);

/* join.c */
void join_paths(const struct options *options);
void join_process(const struct options *options);

/* labels.c */
/* Finds the security module for the label, while securityfs is still visible. */
void find_label_module(const struct options *options);
/* Returns the label for a file system of a type, or NULL. */
const char *label_of_mount(const struct options *options, const char *type);
void set_exec_label(const struct options *options);

/* cgroup.c */
/* Finds the cgroups of a process outside this one's, for the child to join. */
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
/* Verifies this with the command's rights but without the filter, since the default one always denies it. */
void assert_user_namespaces_disabled(const struct options *options);
void enter_time_namespace(const struct options *options);

/* open_in_root.c */
/* Opens a path of the jail, or returns -1. */
int open_in_root(int root, const char *path, int flags);

/* filesystem.c: mounting by descriptor. Paths passed beside descriptors are for messages only. */
/* MOUNT_ATTR_... from linux/mount.h, which conflicts with sys/mount.h. */
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

/* Opens a mount point, creating missing parts in the jail, where they stay. */
int make_mount_point(int root, const char *path, bool directory);
/*
 * The same for a file or directory (S_IFREG or S_IFDIR) that gets a mode if it is missing. Missing directories above it
 * give the group or others no access where it gives them none.
 */
int make_with_mode(int root, const char *path, mode_t mode);
/* Creates a file system without mounting it. Data are its comma-separated options, or NULL; so is its SELinux label. */
int make_filesystem(const char *type, unsigned int attributes, const char *data, const char *label);
/* Copies the mount tree at a path, or at the descriptor if the path is empty; returns -1 on failure. */
int clone_tree(int directory, const char *path);
/* As clone_tree, without submounts. */
int clone_mount(int directory, const char *path);
/* Adds attributes to a mount and its submounts, and makes them private. */
void set_attributes(int tree, unsigned int attributes, const char *path);
/* Changes a single mount. */
void set_read_only(int tree, bool read_only, const char *path);
/* Mounts a tree on a name in a directory, or on the descriptor if the name is empty. */
void attach(int tree, int directory, const char *name, const char *path);

/* Returns an empty directory or file, to hide paths with. */
int empty_tree(bool directory);
/* Mounts a file system over the jail's root, in which to create files that are mounted from there. */
int open_workshop(int root);
/* Detaches what was created there, as a mount tree. */
int take_from_workshop(int workshop);
void close_workshop(int workshop);

/* overlay.c */
/* Mounts an overlay on the root and returns it; opens its upper layer as well. */
int mount_overlay(int root, const char *where, const char *path, int *upper);
int open_layer(const char *path);

/* overlay_claim.c */
/* Refuses overlays whose layers contain each other, and locks the others until this process ends. */
void claim_overlays(const struct options *options);
/* In the child, for which the descriptors would be a way out of the jail; the parent keeps the locks. */
void leave_claims(void);
/* Creates an overlay on an outside directory, to be mounted in the jail. */
int make_overlay_of(const struct mount *mount, int place);

/* overlay_changes.c */
/* Writes the changes that a layer makes to a root, in the format of docs/launcher.md. */
void write_changes(int fd, int upper, const char *root);

/* root.c */
void change_root(const char *root);
/* Creates missing mount points, as the calling user and in its mount namespace. */
void make_places(const struct options *options);
/* In a new mount namespace: sets up the root with all its mounts, and enters it. */
void make_root(struct options *options, int channel);

/* proc.c */
void mount_proc(int root, bool masked);

/* dev.c */
void mount_dev(int root);
/* Makes a terminal available as the jail's /dev/console. */
void bind_console(int root, int terminal_tree);

/* The user that the command runs as. */
struct identity {
	uid_t uid;
	gid_t gid;
	/* Empty if passwd has no entry. */
	char home[256];
};

/* privileges.c */
caps parse_caps(const char *names);
void leave_keyring(void);
void set_rlimits(const struct list *limits);
void give_up_rights(const struct options *options, const struct identity *identity);
/* Installs the filter and drops the capabilities kept for that. */
void give_up_last_rights(void);
void keep_only_kill(void);

/* passwd.c */
void look_up_user(const char *user, struct identity *identity);

/* seccomp.c */
void load_filters(const struct list *which);
bool has_filter(void);
/* From here on, a filter may allow nothing but execve(2). */
void install_filters(void);
_Noreturn void list_denied(void);

/* landlock.c */
/* Reads the rules from an outside file; NULL for none. */
void load_landlock(const char *path);
/* Opens the paths of the rules in the jail, while all of them can be reached. */
void make_landlock_rules(void);
void limit_by_landlock(void);

/* observed.c */
/* Descriptor of the socket to the observer. */
enum { OBSERVER = 3 };
/* Lets the observer trace this process, and receives its system call filter. */
void meet_observer(void);
/* Installs that filter, if there is an observer. */
void install_observation(void);
/* Lets the observer, if any, read this process's memory. */
void be_observable(void);

/* terminal.c */
/* Opens a new terminal in the jail, sends its master over the channel, and returns the slave. */
int open_pty(int channel, bool has_console);
/* Makes a terminal the standard streams. */
void use_terminal(int terminal);
/* Makes a terminal the controlling one of a new session, and its standard streams. */
void take_terminal(int terminal);
/* The relay between the launcher's standard streams and a new terminal: start, transfer, end. */
enum { RELAY_POLLS = 4 };
struct pollfd;
void begin_relay(int master);
/* After the jail has ended, only remaining output is transferred. Returns false if there is none. */
bool prepare_relay(struct pollfd *polls, bool is_over);
void carry(const struct pollfd *polls);
void resize_terminal(void);
void end_relay(void);

/* status.c: reports to supervisors, and descriptors by which they hold the jail. */
void write_info(const struct options *options, pid_t child);
/* The command's process notes that it could not execute the command, which then has no exit status. */
void expect_failures(const struct options *options);
void note_failure(void);
void write_exit_status(const struct options *options, int status);
void take_locks(struct options *options);
/* Returns whether the parent must know when the jail is set up. */
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
/* Enters the process group of the command. */
void enter_group(enum job_group group);
/* Returns whether this process group is the terminal's foreground group. */
bool has_terminal(void);
/* Makes a group the terminal's foreground group, from any group. */
void give_terminal(pid_t group);
/* Returns the terminal to this process group after the jail's group has ended. */
void take_back_terminal(void);

/* mqueue_demo.c */
void create_queue(void);
void send_over_queue(void);
void receive_from_queue(void);

/* wait.c */
/* Kills the jail when the process that started the launcher ends, however it ends. */
void tie_to_caller(pid_t caller);
/* The same for the parent of that process, given by its number. */
void tie_to_process(const char *process);
void hold_signals(void);
/* Returns a descriptor that is ready when a held signal comes that would end a command that has not started. */
int open_ends(void);
void release_signals(void);
/* Waits for the child and returns the exit status. */
int wait_for(pid_t child, const struct options *options, int channel, int pty);

#endif
