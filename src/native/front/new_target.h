/* A directory that does not exist yet, in which a jail is to be built. */
#ifndef NEW_TARGET_H
#define NEW_TARGET_H

#include "front.h"

struct new_target {
	/* Absolute and without symbolic links; all of its bytes are printed as they are. */
	char path[PATH_MAX];
	const char *name;
	/* Name of the directory in which the jail is staged (jail/write/new-jail.ts). */
	char stage[NAME_MAX + 1];
	/* The parent directory. */
	int base;
};

/* Returns the index of the word that names the jail of a build, or 0 if that is not obvious. */
int find_target_word(int argc, char **argv);
/* Locates a jail that does not exist, in a directory that nobody else can replace; returns false for any other. */
bool locate_new_target(const char *word, struct new_target *target);

#endif
