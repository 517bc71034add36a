/*
 * What Node stored for the front: NUL-terminated fields in a file (cli/remembered-launch.ts, cli/stored-answer.ts,
 * cli/stored-build.ts).
 */
#ifndef STORED_H
#define STORED_H

#include "front.h"

#include <sys/stat.h>

struct operation;

struct fields {
	char *at, *end;
};

/* Enough for the text of a stamp. */
#define STAMP_SIZE 160
/* Maximum size of a stored file, in bytes. */
#define MAX_STORED ((size_t)1 << 30)
/* Size of the name of a state file's format, in bytes (jail/record/state-file.ts). */
#define STATE_MAGIC 8

/* stored.c */
/* Returns the next field, or NULL at the end. */
const char *next_field(struct fields *fields);
bool next_is(struct fields *fields, const char *expected);
/* Reads a number; returns false for one above the maximum. */
bool take_number(struct fields *fields, size_t maximum, size_t *number);
bool take_text(struct fields *fields, size_t length, const char **text);
/* Takes a field for each text. */
bool take_texts(struct fields *fields, const char **const texts[], size_t count);
/* Takes so many fields as a list with a NULL at its end. */
bool take_items(struct fields *fields, size_t count, char ***items);
/* Takes the schema and the program; returns whether both are the expected ones. */
bool are_of_program(const struct start *start, struct fields *fields, const char *schema);
/* Takes a checksum; returns whether the rest is as it was stored. */
bool is_whole(struct fields *fields);
/* Continues a CRC-32, as zlib's crc32(); begins with 0. */
uint32_t checksum_of(uint32_t before, const char *at, const char *end);
/* Writes a file's stamp as jail/record/record.ts does. */
void write_stamp(char text[STAMP_SIZE], const struct stat *stat);
/* Waits where a write would block; returns whether all is written, or the reader is gone. */
bool print(int fd, const char *text, size_t length, size_t *written);

/* key.c: names everything that a command depends on besides files, except for the word at an index above 0. */
bool make_key(char key[KEY_SIZE], int argc, char **argv, int left_out);

/* safe_directory.c */
/* Opens a directory on whose path nobody else can change anything; returns -1 for any other. */
int open_safe_directory(const char *path);

/* cache.c */
/* Opens a directory of the cache; returns -1 if there is none that is safe. */
int open_cache(const char *name);
/* Maps a file that only the caller and root can have written. */
bool map_file(int directory, const char *name, struct fields *content, struct stat *stat);
bool is_nothing(int directory, const char *name);

/* facts.c */
/* Takes the content of each check, of the length that it has. */
bool take_contents_of(struct fields *fields, struct operation *checks, size_t count);
/* Returns whether all blocks still hold, in the jail or in the source root. */
bool check_all(int jail, const struct operation *checks, size_t count);

#endif
