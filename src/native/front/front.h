/*
 * The jailbuild command: starts Node with the JavaScript program, carries out its write operations, and exits with its
 * status. Node therefore needs no child process for the writer and can start from a snapshot. jailbuild.cjs is the same
 * command for machines without this program.
 */
#ifndef FRONT_H
#define FRONT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Name of the variable that tells Node the front's descriptors; cli/front.ts reads it. */
#define FRONT_VARIABLE "JAILBUILD_FRONT"

/* A variable that Node reads at startup, and the one in which it is saved for processes that Node starts. */
#define CERTIFICATES "NODE_EXTRA_CA_CERTS"
#define CERTIFICATES_ASIDE "JAILBUILD_NODE_EXTRA_CA_CERTS"

/* Node's name in `process.arch`. */
#if defined(__x86_64__)
#define ARCHITECTURE "x64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "none"
#endif

/* Size of the text of a key. */
#define KEY_SIZE 33

/* How to start Node. */
struct start {
	/* The executable, as found on PATH. */
	char node[PATH_MAX];
	/* The package's dist directory. */
	char dist[PATH_MAX];
	/* The NULL-terminated command line. */
	char **words;
	/* Whether the front set the memory tunables, which processes started by Node must not inherit. */
	bool tuned;
	/* Identifies the command for a stored answer; empty if none may be stored. */
	char key[KEY_SIZE];
	/* Identifies the build of a new jail, whatever its name, and the word that names it; empty if none may be stored. */
	char build_key[KEY_SIZE];
	int target_word;
};

/* find.c: paths; on failure, prints the reason and exits */
void find_node(char node[PATH_MAX]);
/* Moves to the next item of a PATH, and gives the path of a program in it; returns false at the end. */
bool next_on_path(const char **path, const char *name, char file[PATH_MAX]);
void find_dist(char dist[PATH_MAX]);

/* channel.c */
struct channel {
	/* This process's ends of the pipes, and the other process's. */
	int requests, replies, to_requests, to_replies;
};
void open_channel(struct channel *channel);
/* Serves until Node closes its end; returns Node's wait status. */
int serve_channel(const struct channel *channel, pid_t node, int signals);

/* signals.c */
int catch_signals(void);
void restore_signals(void);
/* Handles pending signals; returns one that ends interruptible runs, or 0. */
int take_signals(int signals, pid_t node);

/* start.c */
void tune_memory(struct start *start);
/* The child gets the signal mask and handlers that this process started with. */
pid_t start_node(const struct start *start, const struct channel *channel);
_Noreturn void become_node(const struct start *start);

/* snapshot.c */
/* Finds a snapshot usable by Node and this machine. If none is usable, prints why, unless none was ever made here. */
bool choose_snapshot(const struct start *start, char blob[PATH_MAX], const char **reason);
/* Runs an entry script in Node and saves its memory; prints the snapshot's path. */
int make_snapshot(struct start *start, char *entry);

/* run.c */
/* Runs the launcher and exits if its arguments are known without Node; otherwise returns. */
void run_without_node(const struct start *start, int argc, char **argv);

/* exec.c */
/* The same for a further command in a running jail. */
void exec_without_node(const struct start *start, int argc, char **argv);

/* answer.c */
/* Prints what Node stored for this command, if it still holds, and exits; otherwise returns, with the key of the command. */
void answer_without_node(struct start *start, int argc, char **argv);

/* new_jail.c */
/* Builds a new jail as Node did before for the same command, and exits; otherwise returns, with nothing done. */
void build_without_node(struct start *start, int argc, char **argv);

/* next.c */
/*
 * Becomes this program with the words of a command that follows a stored output, behind whose name the root is put; exits
 * with status 0 without one.
 */
_Noreturn void become_next(char **words, size_t count, const char *root);

/* fail.c */
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
