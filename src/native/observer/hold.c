/*
 * A process that stops often and its observer take turns. On two processors, each turn wakes one that has gone idle,
 * which costs several times as much as the rest of a stop, most of all in virtual machines. Processes that stop often
 * are therefore held on one processor together with the observer, as long as at most one of them has work to do.
 *
 * Programs see nothing of it: before a call that reads or changes the processors of a process, they are as they were.
 * Threads are not held, since they are made to run at the same time.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* Holding starts with so many stops in at most so many milliseconds. */
	BUSY_STOPS = 4,
	BUSY_TIME = 10,
	/* It ends with fewer stops between two looks, so many milliseconds apart. */
	IDLE_STOPS = 4,
	LOOK_EVERY = 10,
	/*
	 * It ends as well when several processes have had work to do for so many milliseconds; after that, only one is held
	 * for so many milliseconds.
	 */
	CROWDED_TIME = 20,
	APART_TIME = 1000,
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
static int64_t apart_until;
/* Stops since a time: that of the first one, or of the last look. */
static unsigned int stops;
static int64_t since;
/* For how long several processes have had work to do. */
static int64_t crowded;
/* The process that stopped last. */
static pid_t last;

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

static void hold(struct process *process)
{
	cpu_set_t its;

	/* The process may have processors of its own, or rights of its own. */
	if ((held_count == 0 && !choose_processor(process->id)) ||
	    sched_getaffinity(process->id, sizeof(its), &its) < 0 || !CPU_EQUAL(&its, &all) ||
	    sched_setaffinity(process->id, sizeof(one), &one) < 0) {
		process->is_unheld = true;
		return;
	}
	if (held_count == 0) {
		sched_setaffinity(0, sizeof(one), &one);
		tick_every(LOOK_EVERY);
		since = now();
		stops = 0;
		crowded = 0;
	}
	was_used = process->was_held = true;
	held[held_count++] = process->id;
}

/* Holds no second process for a while. */
static void keep_apart(void)
{
	let_go();
	apart_until = now() + APART_TIME;
}

static bool are_apart(void)
{
	return apart_until != 0 && now() < apart_until;
}

/* Ends holding if it is of no more use. `stopped` processes have work to do, and are stopped by the observer. */
static void look(int64_t time, size_t stopped)
{
	size_t busy = stopped;
	char text[STAT_SIZE];

	for (size_t i = 0; held_count > 1 && i < held_count; i++)
		busy += *read_stat(held[i], text) == 'R';
	crowded = busy > 1 ? crowded + time - since : 0;
	if (crowded >= CROWDED_TIME)
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
static void note_stop_of_held(void)
{
	int64_t time = now();
	stops++;
	if (time - since > LOOK_EVERY)
		look(time, 1);
}

void hold_if_busy(struct process *process)
{
	if (is_off)
		return;
	if (is_held(process->id)) {
		note_stop_of_held();
		return;
	}
	if (process->id != last && are_apart()) {
		let_go();
		stops = 0;
	}
	last = process->id;
	if (process->is_unheld || !process->has_started)
		return;
	if (held_count == MOST_HELD)
		keep_apart();
	if (held_count > 0) {
		hold(process);
		return;
	}
	if (stops++ == 0)
		since = now();
	if (stops < BUSY_STOPS)
		return;
	stops = 0;
	if (now() - since <= BUSY_TIME)
		hold(process);
}

static void remove_held(pid_t id)
{
	size_t place = place_of(id);
	if (place == held_count)
		return;
	/* The last one ends it. */
	if (held_count == 1) {
		let_go();
		return;
	}
	restore(id);
	held[place] = held[--held_count];
}

void hold_no_more(struct process *process)
{
	remove_held(process->id);
	process->is_unheld = true;
}

void held_ended(pid_t id)
{
	remove_held(id);
}

void hold_nothing(void)
{
	let_go();
	is_off = true;
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
	if (held_count > 0 && held_count < MOST_HELD && CPU_EQUAL(&its, &one) && !are_apart())
		held[held_count++] = child;
	else
		restore(child);
}
