/*
 * The command itself: starts Node with the program in JavaScript, carries out what that decides to write,
 * and ends as it ends. Node thus need not start a process of its own for the writer, and may be started
 * from a snapshot. jailbuild.cjs is the same command for machines that this is not built for.
 */
#ifndef FRONT_H
#define FRONT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The name of the variable that tells Node of its front; cli/front.ts reads it. */
#define FRONT_VARIABLE "JAILBUILD_FRONT"

/* What Node reads at its start, and where it is put aside for what Node starts. */
#define CERTIFICATES "NODE_EXTRA_CA_CERTS"
#define CERTIFICATES_ASIDE "JAILBUILD_NODE_EXTRA_CA_CERTS"

/* As Node has it in `process.arch`. */
#if defined(__x86_64__)
#define ARCHITECTURE "x64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "none"
#endif

/* How Node is to be started. */
struct start {
	/* The executable, as found on PATH. */
	char node[PATH_MAX];
	/* The package's dist directory. */
	char dist[PATH_MAX];
	/* The NULL-terminated command line. */
	char **words;
	/* Whether the memory settings are ours, and not to be seen by what Node starts. */
	bool tuned;
};

/* find.c: paths; each prints why there is none and ends */
void find_node(char node[PATH_MAX]);
void find_dist(char dist[PATH_MAX]);

/* channel.c */
struct channel {
	/* This side's ends, and the other's. */
	int requests, replies, to_requests, to_replies;
};
void open_channel(struct channel *channel);
/* Serves until Node has closed its end; returns Node's wait status. */
int serve_channel(const struct channel *channel, pid_t node, int signals);

/* signals.c */
int catch_signals(void);
void restore_signals(void);
/* Takes what has come; returns true if runs that may be interrupted are to end. */
bool take_signals(int signals, pid_t node);

/* start.c */
void tune_memory(struct start *start);
/* The child has the signals that we had. */
pid_t start_node(const struct start *start, const struct channel *channel);
_Noreturn void become_node(const struct start *start);

/* snapshot.c */
/*
 * Finds a snapshot that Node and this machine can start from. Otherwise says why there is none to use,
 * unless none was ever made here.
 */
bool choose_snapshot(const struct start *start, char blob[PATH_MAX], const char **reason);
/* Has Node run an entry script and keep its memory; prints the snapshot's path. */
int make_snapshot(struct start *start, char *entry);

/* run.c */
/* Runs the launcher and ends, if what it is to be told is known without Node; otherwise returns. */
void run_as_before(const struct start *start, int argc, char **argv);

/* fail.c */
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
