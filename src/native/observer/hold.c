/*
 * A process that stops often and its observer take turns. On two processors, each turn wakes one that has gone idle,
 * which costs several times as much as the rest of a stop, most of all in virtual machines. Processes that stop often
 * are therefore held on one processor together with the observer, as long as at most one of them has work to do.
 *
 * Observed programs do not notice: the processors are restored before a call that reads or changes them, or opens a
 * file that shows them. Only a descriptor of such a file that is sent to the command from outside (unix(7),
 * SCM_RIGHTS), and programs that are not observed, show them. Threads are not held, since they are meant to run in
 * parallel.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/*
	 * Holding starts after BUSY_STOPS stops within BUSY_TIME milliseconds. Starting and ending it costs about as much
	 * as it saves in two or three stops.
	 */
	BUSY_STOPS = 4,
	BUSY_TIME = 10,
	/* It ends with fewer than IDLE_STOPS stops between two looks, LOOK_EVERY milliseconds apart. */
	IDLE_STOPS = 4,
	LOOK_EVERY = 10,
	/*
	 * It also ends if CROWDED_LOOKS of the last looks, at most 8, find several processes with work to do: half of those
	 * that wait for the processor could run on another one. Nothing is held then for APART_TIME milliseconds, which
	 * double each time.
	 */
	CROWDED_LOOKS = 4,
	APART_TIME = 1000,
	MOST_APART_TIME = 16000,
	/* Limited, since each look reads the state of every held process. */
	MOST_HELD = 16,
	/* Positions in /proc/PID/stat, which is a line. */
	STATE_FIELD = 3,
	PROCESSOR_FIELD = 39,
	STAT_SIZE = 1024,
};

/* Processors of the observer and of all processes that it holds, and the one on which it holds them. */
static cpu_set_t all, one;
static bool is_off, was_used;
/* A program has chosen processors itself. */
static bool are_chosen;
static pid_t held[MOST_HELD];
static size_t held_count;
static int64_t apart_until, apart_time = APART_TIME;
/* Stops since a time: that of the first one, or of the last look. */
static unsigned int stops;
static int64_t since;
/* A bit for each of the last looks, the newest lowest: whether several processes had work to do. */
static uint8_t crowds;

static size_t place_of(pid_t id)
{
	size_t place = 0;
	while (place < held_count && held[place] != id)
		place++;
	return place;
}

static bool is_held(pid_t id)
{
	return place_of(id) < held_count;
}

static void restore(pid_t id)
{
	/* Fails if the process has ended. */
	sched_setaffinity(id, sizeof(all), &all);
}

static void let_go(void)
{
	if (held_count == 0)
		return;
	while (held_count > 0)
		restore(held[--held_count]);
	restore(0);
	tick_every(0);
	stops = 0;
}

/* Reads the state of a process and what follows it (proc(5), /proc/PID/stat); nothing if the process has ended. */
static const char *read_stat(pid_t id, char text[STAT_SIZE])
{
	char name[32];
	snprintf(name, sizeof(name), "/proc/%d/stat", id);
	int file = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? 0 : read(file, text, STAT_SIZE - 1);
	if (file >= 0)
		close(file);
	text[size > 0 ? size : 0] = '\0';
	/* The name before it may contain anything. */
	const char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' ? end + 2 : "";
}

/* Returns the processor on which a process ran last, or -1. */
static int processor_of(pid_t id)
{
	char text[STAT_SIZE];
	const char *field = read_stat(id, text);
	for (int i = STATE_FIELD; i < PROCESSOR_FIELD && field != NULL; i++)
		if ((field = strchr(field, ' ')) != NULL)
			field++;
	return field != NULL ? atoi(field) : -1;
}

/* Holds a process where it is: others may run on the processor of the observer. Returns false if there is only one. */
static bool choose_processor(pid_t id)
{
	int processor = processor_of(id);

	if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof(all), &all) < 0 ||
	    CPU_COUNT(&all) < 2)
		return false;
	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	return true;
}

/* The process may have threads, or processors or rights of its own. */
static bool hold(struct process *process)
{
	cpu_set_t its;

	if (process->is_unheld || !process->has_started || held_count == MOST_HELD || is_held(process->id))
		return false;
	if (sched_getaffinity(process->id, sizeof(its), &its) < 0 || !CPU_EQUAL(&its, &all) ||
	    sched_setaffinity(process->id, sizeof(one), &one) < 0) {
		process->is_unheld = true;
		return false;
	}
	process->was_held = true;
	held[held_count++] = process->id;
	return true;
}

/* Holds a process and its whole family: those that wait for it are soon stopped themselves. */
static void hold_family(struct process *process)
{
	if (!choose_processor(process->id) || !hold(process))
		return;
	was_used = true;
	for (struct process *other = first_process(); other != NULL; other = other->next)
		hold(other);
	sched_setaffinity(0, sizeof(one), &one);
	tick_every(LOOK_EVERY);
	since = now();
	stops = 0;
	crowds = 0;
}

static void keep_apart(void)
{
	let_go();
	apart_until = now() + apart_time;
	if (apart_time < MOST_APART_TIME)
		apart_time *= 2;
}

/* Returns whether a process has work to do: it runs, waits for the processor, or is stopped by the observer. */
static bool is_busy(pid_t id)
{
	char text[STAT_SIZE];
	char state = *read_stat(id, text);
	return state == 'R' || state == 't';
}

/* Ends holding if it no longer helps. `stopped` is the process that the observer has stopped, or 0. */
static void look(int64_t time, pid_t stopped)
{
	int busy = stopped != 0;

	for (size_t i = 0; busy < 2 && i < held_count; i++)
		busy += held[i] != stopped && is_busy(held[i]);
	crowds = (uint8_t)(crowds << 1 | (busy > 1));
	if (__builtin_popcount(crowds) >= CROWDED_LOOKS)
		keep_apart();
	else if (stops < IDLE_STOPS)
		let_go();
	since = time;
	stops = 0;
}

void look_at_held(void)
{
	int64_t time = now();
	if (held_count > 0 && time - since >= LOOK_EVERY)
		look(time, 0);
}

/* Ticks come late when the processor is busy. */
static void note_stop_of_held(pid_t id)
{
	int64_t time = now();
	stops++;
	if (time - since > LOOK_EVERY)
		look(time, id);
}

void hold_if_busy(struct process *process)
{
	if (is_off || process->is_unheld || !process->has_started)
		return;
	if (held_count > 0) {
		if (is_held(process->id) || hold(process))
			note_stop_of_held(process->id);
		else if (held_count == MOST_HELD)
			keep_apart();
		return;
	}
	int64_t time = now();
	if (time < apart_until)
		return;
	if (stops == 0 || time - since > BUSY_TIME) {
		since = time;
		stops = 0;
	}
	if (++stops == BUSY_STOPS)
		hold_family(process);
}

void hold_no_more(struct process *process)
{
	if (is_held(process->id))
		restore(process->id);
	held_ended(process->id);
	process->is_unheld = true;
}

void held_ended(pid_t id)
{
	size_t place = place_of(id);
	if (place == held_count)
		return;
	held[place] = held[held_count - 1];
	/* The last one ends it. */
	if (held_count == 1)
		let_go();
	else
		held_count--;
}

void hold_nothing(void)
{
	let_go();
	is_off = true;
}

bool may_hold(void)
{
	return !is_off;
}

static bool is_number(const char *text, const char *end)
{
	if (text == end)
		return false;
	while (text < end && *text >= '0' && *text <= '9')
		text++;
	return text == end;
}

bool tells_processors(const char *path)
{
	const char *name = strrchr(path, '/');
	if (name == NULL || strcmp(name, "/status") != 0)
		return false;
	/* The path of a descriptor contains the PID, wherever /proc is mounted. */
	const char *parent = name;
	while (parent > path && parent[-1] != '/')
		parent--;
	return strstr(path, "/proc/") != NULL || is_number(parent, name);
}

void look_at_inherited(pid_t command)
{
	char name[40], text[PATH_SIZE];
	snprintf(name, sizeof(name), "/proc/%d/fd", command);
	DIR *directory = opendir(name);
	const struct dirent *entry;
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, text, sizeof(text) - 1);
		text[length > 0 ? length : 0] = '\0';
		if (tells_processors(text))
			hold_nothing();
	}
	if (directory != NULL)
		closedir(directory);
}

void processors_chosen(struct process *process)
{
	hold_nothing();
	are_chosen = true;
	process->was_held = false;
}

void place_child(pid_t child, const struct process *parent)
{
	cpu_set_t its;

	if (!was_used || is_held(child) || sched_getaffinity(child, sizeof(its), &its) < 0 ||
	    CPU_COUNT(&its) != 1)
		return;
	/* If no program has chosen its processors, the only one of the child is the observer's choice. */
	if (are_chosen && (parent == NULL || !parent->was_held || !CPU_EQUAL(&its, &one)))
		return;
	if (held_count > 0 && held_count < MOST_HELD && CPU_EQUAL(&its, &one))
		held[held_count++] = child;
	else
		restore(child);
}
