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

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit statuses of our own, as those of env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

enum mount_kind { MOUNT_BIND, MOUNT_DEVICES, MOUNT_TMPFS };

/* What --bind, --dev-bind and --tmpfs ask for, in their order. */
struct mount {
	enum mount_kind kind;
	/* Outside of the jail; NULL for a tmpfs. */
	const char *source;
	/* In the jail. */
	const char *target;
	/* Options of a tmpfs, comma-separated, or NULL. */
	const char *data;
	bool read_only;
	/* The source, taken before it is out of reach. */
	int tree;
};

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
	bool make_dev;
	bool no_proc;
	bool mask_proc;
	struct mount *mounts;
	size_t mount_count;
	/* Working directory in the new root, or NULL for its top. */
	const char *cwd;

	/* Limits; NULL for none. */
	const char *memory;
	const char *pids;
	const char *cpu_quota;
	/* NAME=SOFT[:HARD] */
	struct list rlimits;

	/* Rights. */
	const char *user;
	bool limit_caps;
	caps caps;
	caps ambient;
	bool no_new_privs;
	/* "default", "off" or the path of a file. */
	const char *seccomp;
	bool new_keyring;
	/* Octal, or NULL. */
	const char *umask;
	bool sealed;
	/* The caller is jail_observer, and observes the command. */
	bool observed;

	/* The process. */
	bool die_with_parent;
	bool init;
	/* How the command shares signals of a terminal; with an init alone. */
	enum job_group group;
	bool new_session;
	bool pty;
	/* The jail's end of the new terminal. */
	int terminal;
	/* NULL-terminated; ends with what --env names. One place is left for HOME. */
	char **env;
	size_t env_count;
	/* The command, NULL-terminated; NULL for a shell. */
	char **command;
	/* Our own arguments. */
	char **argv;
};

/* options.c */
void parse_options(struct options *options, int argc, char **argv);
/* The whole text as a number, or -1. */
long long parse_number(const char *text, int base);

/* log.c */
void log_as(const char *who, bool verbose);
void log_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names the step and the path that failed, with strerror of errno, and ends with status 125. */
_Noreturn void die_errno(const char *step, const char *path);
/* As die_errno, where no system call has a reason to give. */
_Noreturn void die(const char *message, const char *value);

/* What die and die_errno do before they end. */
void at_failure(void (*does)(void));

/* seal.c */
/* Closes all descriptors from one on. */
void close_from(unsigned int first);
/* Closes all from one on, and sees to it that the standard streams are there. */
void close_inherited(unsigned int first);
void run_sealed_copy(char **argv);
void refuse_directories(void);

/* userns.c */
void write_id_maps(pid_t child, const struct options *options);
void become_mapped_root(const struct options *options);
/* True if root of the user namespace is not who calls us, and so may not write where we may. */
bool has_other_root(const struct options *options);

/* cgroup.c */
/* Opened by the parent, joined by the child, removed by the parent. */
void make_cgroup(const struct options *options);
void join_cgroup(void);
void remove_cgroup(void);

/* namespaces.c */
void bring_loopback_up(void);
void set_hostname(const char *hostname);
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
};
/* Opens a path of the jail, or returns -1. */
int open_in_root(int root, const char *path, int flags);
/* Opens a place to mount on; what of it is not there yet is made in the jail, and stays. */
int make_mount_point(int root, const char *path, bool directory);
/* Makes a file system that is mounted nowhere yet. Data are its options, comma-separated, or NULL. */
int make_filesystem(const char *type, unsigned int attributes, const char *data);
/* A copy of what is mounted at a path and below, or at the descriptor if the path is empty; or -1. */
int clone_tree(int directory, const char *path);
/* Adds attributes to a mount and to all below it. */
void set_attributes(int tree, unsigned int attributes, const char *path);
/* Changes the one mount alone. */
void set_read_only(int tree, bool read_only, const char *path);
/* Mounts a tree on a name in a directory, or on the descriptor if the name is empty. */
void attach(int tree, int directory, const char *name, const char *path);

/* root.c */
void change_root(const char *root);
/* Makes the places to mount on that are missing, as ourselves and in our own mount namespace. */
void make_places(const struct options *options);
/* In a mount namespace of our own: makes the root with all that is mounted in it, and enters it. */
void make_root(struct options *options);

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
void keep_only_kill(void);

/* passwd.c */
void look_up_user(const char *user, struct identity *identity);

/* seccomp.c */
void load_filter(const char *which);
void install_filter(void);
_Noreturn void list_denied(void);

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
int open_pty(int channel);
/* The master of a terminal, or -1 if the child has ended before it sent one. */
int receive_descriptor(int channel);
void send_descriptor(int channel, int fd);
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
void hold_signals(void);
void release_signals(void);
/* Returns the exit status for what became of the child. */
int wait_for(pid_t child, const struct options *options, int channel, int pty);

#endif
