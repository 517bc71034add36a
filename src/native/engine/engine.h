/*
 * The native writer carries out operations that the jail's writer decides. It reads requests from standard input and
 * writes replies to standard output; src/jail/engine/native.ts is the other end, protocol.ts describes the format. Operations stay
 * below two directories that are held open: the base, which is written to, and the source root, which is read.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

enum operation_type {
	OP_MKDIR = 1,
	OP_COPY,
	OP_WRITE,
	OP_LINK,
	OP_NODE,
	OP_SYMLINK,
	OP_ATTRIBUTES,
	OP_RENAME,
	OP_EXCHANGE,
	OP_REPLACE,
	OP_UNLINK,
	OP_RMDIR,
	OP_REMOVE_IF_EMPTY,
	OP_REMOVE_TREE,
	OP_EMPTY,
	OP_LOCK,
	OP_SYNC,
	OP_SYNC_DIRECTORY,
	OP_XATTRS,
	OP_EXTENTS,
	OP_CHECK,
	OP_SURVEY,
	OP_PLACE,
	OP_FACTS,
};

struct xattr {
	const char *name;
	const uint8_t *value;
	uint32_t length;
};

struct attributes {
	bool has_owner, has_xattrs;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	/* File to copy extended attributes from, relative to the source root; NULL for none. */
	const char *like;
	struct xattr *xattrs;
	uint32_t xattr_count;
};

/* One operation. Strings and bytes point into its request. */
struct operation {
	uint8_t type;
	/* mkdir: may exist; lock: wait; copy: share; check: in the jail; place: a source follows the content. */
	bool flag;
	/* copy: start writing to disk. */
	bool write_back;
	const char *path;
	/* Source of a copy, target of a link, or new name of a rename. */
	const char *to;
	/* Size of a copy in bytes; for a check, the time of the record in nanoseconds. */
	uint64_t size;
	struct timespec source_mtime;
	/* place: where in the output, and which file the output is. */
	uint64_t offset, device, inode;
	mode_t node_type;
	uint32_t major, minor;
	/* Content of a file, a block to check, or paths of files to read, each with a NUL. */
	const uint8_t *content;
	uint32_t content_length;
	/* Imported names to report of files that are read, each with a NUL. */
	const uint8_t *names;
	uint32_t names_length;
	struct attributes attributes;
};

/* Operations of one request. The job owns the request's bytes. */
struct job {
	struct job *next;
	uint32_t run, number, count;
	bool ordered;
	/* Whether a signal may end the run; undoing earlier work continues. */
	bool interruptible;
	/* Protected by the pool's lock. */
	uint64_t serial;
	uint32_t claimed, running;
	/* Written under the pool's lock, read without it. */
	_Atomic bool stopped;
	/* Stopped by a signal that the client may not have received yet. */
	bool interrupted;
	uint8_t *bytes;
	/* Memory of paths that are not in the request; may be NULL. */
	char *paths;
	struct operation *operations;
};

enum outcome { DONE, FAILED_IN_JAIL, FAILED_AT_SOURCE, SOURCE_CHANGED };

/* Kinds of replies; the first four are outcomes. */
enum { REPLY_WARNING = 4, REPLY_DATA, REPLY_END };

/* State of a worker thread. */
struct worker {
	const struct job *job;
	/* Serial of the job for which `directory` was looked up. */
	uint64_t serial;
	uint32_t index;
	/* The last directory looked up below the base. */
	char directory[4096];
	int directory_fd;
	/* The output of `place`, and which file it is. */
	int output_fd;
	uint64_t output_device, output_inode;
	/* Whether this thread has its own working directory. */
	bool own_cwd;
	uint8_t buffer[1 << 17];
};

/* serve.c */
extern int base_fd, source_fd;
/* The errno if the base could not be opened. */
extern int base_error;
/* Maximum size of a request in bytes. */
#define MAX_REQUEST (1U << 30)
void prepare_to_serve(void);
void close_directories(void);
/* Raises the soft limit of open files to the hard one. */
void allow_many_files(void);
/* Carries out one request and takes ownership of its bytes. */
void serve(uint8_t *bytes, size_t length);

/* die.c */
_Noreturn void die(const char *what);

/* job.c */
bool is_stopped(const struct worker *worker);
void free_job(struct job *job);

/* request.c */
struct job *parse_job(uint8_t *bytes, size_t length);
/* The same for bytes that this process has not received; returns NULL if they are malformed. */
struct job *parse_stored_job(uint8_t *bytes, size_t length);
uint32_t parse_number(const uint8_t *bytes, size_t length);
void parse_begin(uint8_t *bytes, size_t length, const char **base, const char **source_root);

/* pool.c */
void post_job(struct job *job);
void stop_run(uint32_t run);
/* Stops every run that a signal may end. */
void interrupt_runs(void);
/* Waits for running operations and drops the rest; new jobs may follow. */
void drop_jobs(void);
void finish_jobs(void);

/* reply.c */
void reply_outcome(const struct worker *worker, enum outcome outcome, int error);
void reply_warning(const struct worker *worker, const char *attribute, int error);
void reply_data(const struct worker *worker, const uint8_t *data, size_t length);
/* The errno is ECANCELED for a job ended by a signal, otherwise 0. */
void reply_end(uint32_t job, int error);
void reply_flush(void);
/*
 * Sets the descriptor for replies. If writing would block, replies are kept, and `told` is called each time the first
 * reply is kept.
 */
void reply_to(int fd, void (*told)(void));
bool replies_are_kept(void);
/* Passes each reply to a function instead, in any thread; NULL ends that. */
typedef void reply_taker(uint32_t job, uint32_t index, uint8_t kind, int error, const void *data,
			 size_t length);
void reply_with(reply_taker *taker);

/* operation.c: reports the outcome and returns whether the operation succeeded */
bool carry_out(struct worker *worker, const struct operation *operation);

/* walk.c: descriptors or -1 with errno */
void probe_openat2(void);
int open_beneath(int root, const char *path, int flags);
int open_source(const char *path, int flags);
int open_parent(struct worker *worker, const char *path, const char **name);
void forget_directory(struct worker *worker);

/* Closes what a worker keeps open for a job. */
void forget_files(struct worker *worker);

/* check.c: returns whether everything a block lists is unchanged */
bool check_block(int root, const struct operation *operation);

/* survey.c: replies with a directory's entries and their attributes; 0, or -1 with errno */
int survey_directory(struct worker *worker, const char *path);

/* facts.c: replies with what there is to know of ELF files, except those that are peculiar or cannot be read */
void tell_facts(struct worker *worker, const struct operation *operation);

/* copy.c */
enum outcome copy_file(struct worker *worker, const struct operation *operation);
/* Copies a part of a source to an offset of an output. */
enum outcome copy_range(struct worker *worker, int from, int to, off_t start, off_t end, off_t offset);
/* Reads up to a length; less only at the end of the file, -1 with errno. */
ssize_t read_up_to(int fd, uint8_t *bytes, size_t length, off_t offset);
int write_all(int fd, const uint8_t *bytes, size_t length, off_t offset);
/* Closes a written file; a file system may report write errors only now (close(2)). */
int close_written(int fd);

/* place.c: writes bytes, and a source after them, into a file that the client has created */
enum outcome place(struct worker *worker, const struct operation *operation);

/* extents.c: finds the data of a sparse source; returns 0, or -1 with errno */
bool find_data(int fd, off_t *at, off_t *end, off_t size);
int list_extents(struct worker *worker, const char *source);

/* attributes.c */
void set_attributes(struct worker *worker, int fd, const struct attributes *attributes, int like);
void set_link_attributes(struct worker *worker, int directory, const char *name,
			 const struct attributes *attributes);
void set_node_attributes(struct worker *worker, int directory, const char *name,
			 const struct attributes *attributes);
void set_directory_attributes(struct worker *worker, int fd, const struct attributes *attributes);
int list_xattrs(struct worker *worker, const char *source);
/* Replies with all extended attributes of a file with capabilities. */
void tell_capability(struct worker *worker, int fd);
void remove_acls(int fd);

/*
 * access_lists.c: prints the access control lists of the paths in standard input, each ended by a null byte: the length
 * in 4 bytes, little-endian, 0 without a list and all ones if it cannot be read; then the attribute. Returns an exit
 * status.
 */
int print_access_lists(void);

/* tree.c: 0, or -1 with errno */
int remove_entry(int directory, const char *name);
int remove_content(int directory, const char *name);

/* lock.c: 0, or -1 with errno */
int lock_directory(struct worker *worker, int directory, const char *name, bool wait);
void release_locks(void);

#endif
