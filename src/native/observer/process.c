#define _GNU_SOURCE
#include "observer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's PID_MAX_LIMIT. Unused pages take no memory. */
enum { MOST_PROCESSES = 1 << 22 };
static struct process **processes;
/* The process registered last. */
static struct process *newest;

/* Programs that were run, without duplicates. */
struct program {
	struct program *next;
	char path[];
};
/* Beyond this, programs are not named, so that a hostile command cannot exhaust memory. */
enum { MOST_PROGRAMS = 1 << 16 };
static size_t program_count;

static const char *intern(const char *path)
{
	static struct program *buckets[1024];
	size_t bucket = 5381;
	for (const char *c = path; *c != '\0'; c++)
		bucket = bucket * 33 + (unsigned char)*c;
	struct program **head = &buckets[bucket % COUNT(buckets)];
	for (struct program *program = *head; program != NULL; program = program->next)
		if (strcmp(program->path, path) == 0)
			return program->path;
	size_t size = strlen(path) + 1;
	struct program *program = program_count < MOST_PROGRAMS ? malloc(sizeof(*program) + size) : NULL;
	if (program == NULL)
		return "";
	program_count++;
	memcpy(program->path, path, size);
	program->next = *head;
	*head = program;
	return program->path;
}

struct process *find_process(pid_t id)
{
	return processes == NULL ? NULL : processes[id];
}

struct process *first_process(void)
{
	return newest;
}

/* Set once for all processes: rights are inherited by children and changed by programs. */
static bool have_rights_changed;

void rights_changed(void)
{
	have_rights_changed = true;
}

bool rights_differ(void)
{
	return have_rights_changed;
}

void learn_program(struct process *process)
{
	char link[32], text[PATH_SIZE];
	const struct root *root = current_root(process);

	snprintf(link, sizeof(link), "/proc/%d/exe", process->id);
	ssize_t length = readlink(link, text, sizeof(text) - 1);
	if (length < 0) {
		process->program = "";
		return;
	}
	text[length] = '\0';
	size_t above = strlen(root->text);
	bool is_below = strncmp(text, root->text, above) == 0 && text[above] == '/';
	process->program = intern(is_below && root->is_known ? text + above : text);
	/* Checked once: a set-id program may find other files than the observer. */
	if (!process->has_started || !note_seen(seen_key("program", process->program, root, ""), FOUND) ||
	    (cached_mode(link) & (S_ISUID | S_ISGID)) == 0)
		return;
	rights_changed();
	/* The kernel grants no set-id rights to processes traced without privileges. */
	if (geteuid() != 0)
		report("set-id", "found", process->program, process->program);
}

struct process *add_process(pid_t id, const struct process *parent)
{
	if (processes == NULL && (processes = calloc(MOST_PROCESSES, sizeof(struct process *))) == NULL)
		die("prepare its memory");
	struct process *process = processes[id];
	if (process == NULL) {
		process = processes[id] = calloc(1, sizeof(*process));
		if (process == NULL)
			die("note a process");
		process->next = newest;
		if (newest != NULL)
			newest->before = process;
		newest = process;
	}
	process->id = id;
	if (parent != NULL) {
		process->program = parent->program;
		process->root = parent->root;
		process->generation = parent->generation;
		process->has_started = parent->has_started;
	} else {
		process->generation = root_generation() - 1;
		process->has_started = true;
		learn_program(process);
	}
	return process;
}

void clear_pending(struct pending *pending)
{
	for (size_t i = 0; i < pending->count; i++)
		free(pending->paths[i]);
	*pending = (struct pending){ 0 };
}

void forget_process(pid_t id)
{
	struct process *process = find_process(id);
	if (process == NULL)
		return;
	clear_pending(&process->pending);
	if (process->next != NULL)
		process->next->before = process->before;
	if (process->before != NULL)
		process->before->next = process->next;
	else
		newest = process->next;
	free(process);
	processes[id] = NULL;
}

const struct root *current_root(struct process *process)
{
	if (process->root == NULL || process->generation != root_generation()) {
		process->generation = root_generation();
		process->root = root_of(process->id);
	}
	return process->root;
}
