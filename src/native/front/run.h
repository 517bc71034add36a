/* Runs, and further commands in running jails, that the front starts without Node. */
#ifndef RUN_H
#define RUN_H

#include "front.h"

/* The launcher's arguments that one option of `run` changes, or that none changes (launcher/options.ts). */
struct part {
	const char *name;
	size_t count;
	char **words;
};

struct list {
	size_t count;
	char **items;
};

/* What every run of a jail has in common, as Node stored it. */
struct defaults {
	size_t part_count;
	struct part *parts;
	/* Variables as NAME=VALUE: those of every command, and those of the jail. */
	struct list common, own;
	/* Run without a command on the command line; may be empty. */
	struct list command;
};

/* A mount that an option requests. */
struct mount {
	/* The launcher's option and its value. */
	char *words[2];
	/* The names in the path of its place, and the row of its option: mounts are made in this order. */
	size_t depth, row;
};

/* A run as the command line asks for it. */
struct run {
	const char *root;
	char **command;
	/* Parts in place of those of the defaults. */
	struct part *parts;
	size_t part_count;
	struct mount *mounts;
	size_t mount_count;
	/* NAME=VALUE. */
	struct list variables;
	/* Capabilities in lower case, or `all`. */
	struct list dropped;
	/* Real or not, the sources of bind mounts that are not read-only. */
	struct list writable;
	bool no_tmp, has_tmp, has_user, has_tty, has_no_dev, dies_with_parent;
	/* Whether slirp4netns provides its network. */
	bool has_network;
};

/* remembered.c */
/* Reads the defaults of a root; returns false if there are none that belong to this program and the root's record. */
bool read_defaults(const struct start *start, const char *root, struct defaults *defaults);

/* run_options.c */
/*
 * Parses the words of `run`. Returns false for what Node is to handle: options and values that are not known here, and all
 * that is wrong.
 */
bool parse_run(struct run *run, size_t count, char **words);
/* As parse_run, for the words of `exec`: the root may also be a PID. */
bool parse_exec(struct run *run, size_t count, char **words);
/* Returns the place of recorded mounts in the order of mounts. */
size_t row_of_tmpfs(void);
/* Returns whether a path is in the form that Node's `path.resolve` returns. */
bool is_resolved(const char *path);

/* run_environment.c */
/* Makes the environment of a command; returns false without memory. */
bool make_environment(struct list *environment, const struct run *run, const struct defaults *defaults);
/* Adds the launcher's options that pass on these variables. */
bool add_names(struct list *list, const struct list *environment);

/* A network that a helper provides. */
struct network {
	/* This process's ends of the launcher's pipes, and of the helper's output. */
	int info, block, said;
	/* The launcher's ends, in the order of its descriptors. */
	int theirs[3];
	pid_t helper;
	/* The end of the helper's output. */
	char text[1024];
	size_t length;
};

/* network.c */
/* Returns whether slirp4netns is on PATH, which root prefers. */
bool has_network_helper(void);
/* Adds the launcher's options for the network: the mount, which is the last, and the descriptors. */
void add_network_mount(struct list *list);
void add_network_descriptors(struct list *list);
void open_network(struct network *network);
/* Gives a child the launcher's ends. */
void give_network(const struct network *network);
/* Closes the launcher's ends. */
void close_network(const struct network *network);
/* Starts the helper and lets the launcher continue; exits with status 125 if there is no network. */
void make_network(struct network *network, const char *launcher, int signals, pid_t child);
/* Reads the output of the helper, which would otherwise wait for a reader. */
void hear_network(struct network *network);
void end_network(struct network *network);

/* launch.c */
/*
 * Starts the launcher with these words, of which it sets the first, forwards signals to it, and returns the exit status;
 * -1 if the launcher is for Node to look for.
 */
int launch(const struct start *start, char **words, char **environment, bool has_network);

/* A running jail. */
struct jail {
	/* Arguments of its launcher, without the program, and its root. */
	struct list words;
	const char *root;
	/* The launcher, and the first process. */
	long pid, init;
	/* PID and start time of the process whose namespaces a further command joins. */
	char entry[24], start[24];
};

/* jails.c */
/* Finds the only running jail of this user with that root or PID; returns false for what Node is to handle. */
bool find_jail(const char *name, struct jail *jail);

/* run_words.c */
/* Returns the launcher's arguments without the command, or NULL for what Node is to handle; sets its environment. */
char **launcher_words(const struct run *run, const struct defaults *defaults, struct list *environment);

/* Adds to a list whose items have room for it. */
static inline void add(struct list *list, char *item)
{
	list->items[list->count++] = item;
}

#endif
