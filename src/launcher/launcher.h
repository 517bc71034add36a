/*
 * invoke_ns: runs a command in a new root and in namespaces of its own.
 *
 * The parent makes the child in its namespaces (clone(2)), passes signals on and returns what became
 * of it. The child makes its root, and becomes the command.
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Exit statuses of our own, as those of env(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

struct options {
	bool verbose;
	bool new_pid;
	bool new_mount;
	bool new_net;
	bool new_uts;
	bool new_ipc;
	const char *hostname;
	/* -i was given: pass a message over a queue, as a demonstration. */
	bool show_queue;
	/* The new root, or NULL. */
	const char *root;
	/* Working directory in the new root, or NULL for its top. */
	const char *cwd;
	/* NULL-terminated; ends with what --env names. */
	char **env;
	/* The command, NULL-terminated; NULL for a shell. */
	char **command;
};

/* options.c */
void parse_options(struct options *options, int argc, char **argv);

/* tell.c */
void tell_as(const char *who, bool verbose);
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names the step and the path that failed, with strerror of errno, and ends with status 125. */
_Noreturn void fail(const char *step, const char *path);

/* root.c */
void make_mounts_private(void);
void enter_root(const char *root, bool own_mounts);
void mount_proc(void);
void make_proc(void);

/* child.c */
_Noreturn void become_command(const struct options *options);

/* queue.c */
void create_queue(void);
void send_over_queue(void);
void receive_from_queue(void);

/* wait.c */
void hold_signals(void);
void release_signals(void);
int wait_for(pid_t child, bool is_init);

#endif
