/*
 * Carries out what the jail's writer decides. Requests come on standard input, replies go to standard
 * output; src/jail/engine/native.ts is the other end, and describes both. All that is done is done below two
 * directories, which are held open: the base, which is written to, and the source root, which is read.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
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
	/* Relative to the source root: what extended attributes are copied from; NULL for nothing. */
	const char *like;
	struct xattr *xattrs;
	uint32_t xattr_count;
};

/* One operation. Strings and bytes lie in the request that it came with. */
struct operation {
	uint8_t type;
	/* mkdir: may exist; lock: wait; copy: share; check: of the jail. */
	bool flag;
	/* copy: begin to write to the disk. */
	bool write_back;
	const char *path;
	/* The source of a copy, the target of a link, the new name of a rename. */
	const char *to;
	/* Of a copy, in bytes; of a check, when the record was made, in nanoseconds. */
	uint64_t size;
	struct timespec source_mtime;
	mode_t node_type;
	uint32_t major, minor;
	const uint8_t *content;
	uint32_t content_length;
	struct attributes attributes;
};

/* Operations that came together. The request's bytes are the job's. */
struct job {
	struct job *next;
	uint32_t run, number, count;
	bool ordered;
	/* Whether a signal may end the run: what takes back another's work goes on. */
	bool interruptible;
	/* The pool's, under its lock. */
	uint64_t serial;
	uint32_t claimed, running;
	/* Written under the pool's lock, read without it. */
	_Atomic bool stopped;
	/* Stopped by a signal, of which who asks may not know yet. */
	bool interrupted;
	uint8_t *bytes;
	struct operation *operations;
};

enum outcome { DONE, FAILED_IN_JAIL, FAILED_AT_SOURCE, SOURCE_CHANGED };

/* A thread's state. */
struct worker {
	const struct job *job;
	/* The serial of the job that `directory` was looked up for. */
	uint64_t serial;
	uint32_t index;
	/* The last directory below the base that was looked up. */
	char directory[4096];
	int directory_fd;
	/* Whether this thread has a working directory of its own. */
	bool own_cwd;
	uint8_t buffer[1 << 17];
};

/* serve.c */
extern int base_fd, source_fd;
/* Why there is no base. */
extern int base_error;
/* The most that a request may have, in bytes. */
#define MAX_REQUEST (1U << 30)
void prepare_to_serve(void);
/* Takes one request, whose bytes become the engine's. */
void serve(uint8_t *bytes, size_t length);

/* die.c */
_Noreturn void die(const char *what);

/* job.c */
bool is_stopped(const struct worker *worker);
void free_job(struct job *job);

/* request.c */
struct job *parse_job(uint8_t *bytes, size_t length);
uint32_t parse_number(const uint8_t *bytes, size_t length);
void parse_begin(uint8_t *bytes, size_t length, const char **base, const char **source_root);

/* pool.c */
void post_job(struct job *job);
void stop_run(uint32_t run);
/* Stops every run that a signal may end. */
void interrupt_runs(void);
/* Waits for what is being carried out and drops the rest; then there may be more. */
void drop_jobs(void);
void finish_jobs(void);

/* reply.c */
void reply_outcome(const struct worker *worker, enum outcome outcome, int error);
void reply_warning(const struct worker *worker, const char *attribute, int error);
void reply_data(const struct worker *worker, const uint8_t *data, size_t length);
/* The error is ECANCELED for a job that a signal has ended, or 0. */
void reply_end(uint32_t job, int error);
void reply_flush(void);
/*
 * Where replies go. If writing there would block, they are kept, and what is told is called, once for
 * each time that something begins to be kept.
 */
void reply_to(int fd, void (*told)(void));
bool replies_are_kept(void);

/* operation.c: returns whether it was done, after telling the outcome */
bool carry_out(struct worker *worker, const struct operation *operation);

/* walk.c: descriptors or -1 with errno */
void probe_openat2(void);
int open_beneath(int root, const char *path, int flags);
int open_source(const char *path, int flags);
int open_parent(struct worker *worker, const char *path, const char **name);
void forget_directory(struct worker *worker);

/* check.c: whether all that a block lists is as it says */
bool check_block(const struct operation *operation);

/* copy.c */
enum outcome copy_file(struct worker *worker, const struct operation *operation);
int write_all(int fd, const uint8_t *bytes, size_t length, off_t offset);
/* Closes what was written; only now may a file system tell that it could not write (close(2)). */
int close_written(int fd);

/* extents.c: replies with the data of a sparse source; 0, or -1 with errno */
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
/* Replies with all extended attributes of a file that has capabilities. */
void tell_capability(struct worker *worker, int fd);
void remove_acls(int fd);

/* tree.c: 0, or -1 with errno */
int remove_entry(int directory, const char *name);
int remove_content(int directory, const char *name);

/* lock.c: 0, or -1 with errno */
int lock_directory(struct worker *worker, int directory, const char *name, bool wait);
void release_locks(void);

#endif
