/* A build of a new jail as Node stored it (cli/stored-build.ts). */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "stored.h"

struct blocks {
	size_t count;
	/* Operations that check a block each. */
	struct operation *checks;
};

struct script {
	const char *source_root;
	/* Name of the jail that was built, and of its stage. */
	const char *name, *stage;
	/* Directory of the notes about roots whose records are not to be trusted. */
	const char *notes;
	/* Whether the output is JSON. */
	bool is_json;
	/* The command that follows, see become_next(). */
	char **next;
	size_t next_count;
	/* Directories that are copied with their content; the jail must not be inside one. */
	char **trees;
	size_t tree_count;
	/* What the plan and the advice depend on; what its verification depends on, in the jail. */
	struct blocks host, advice, jail;
	/* The fingerprint before the stamp of the record, at whose end its head begins, and behind the stamp. */
	const char *fingerprint, *rest;
	size_t fingerprint_length, head_length, rest_length;
	/* The requests to the writer, and its replies other than that it has done an operation. */
	const char *requests, *replies;
	size_t requests_length, replies_length;
	/* Output before and behind the path of the jail, which only JSON has. */
	const char *out, *out_rest, *err;
	size_t out_length, out_rest_length, err_length;
};

/* Takes the rest of a stored file; returns false if it is not a script. */
bool take_script(struct fields *fields, struct script *script);

#endif
