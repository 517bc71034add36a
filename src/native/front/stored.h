/* What Node stored for the front: NUL-terminated fields in a file (cli/remembered-launch.ts, cli/stored-answer.ts). */
#ifndef STORED_H
#define STORED_H

#include "front.h"

#include <sys/stat.h>

struct fields {
	char *at, *end;
};

/* Enough for the text of a stamp. */
#define STAMP_SIZE 160

/* Returns the next field, or NULL at the end. */
const char *next_field(struct fields *fields);
bool next_is(struct fields *fields, const char *expected);
/* Reads a number; returns false for one above the maximum. */
bool take_number(struct fields *fields, size_t maximum, size_t *number);
/* Takes the schema and the program; returns whether both are the expected ones. */
bool are_of_program(const struct start *start, struct fields *fields, const char *schema);
/* Writes a file's stamp as jail/record/record.ts does. */
void write_stamp(char text[STAMP_SIZE], const struct stat *stat);

#endif
