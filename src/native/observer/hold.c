/*
 * A process that stops often and its observer take turns. On two processors, each turn wakes one that has gone idle,
 * which costs several times as much as the rest of a stop, most of all in virtual machines. Such a process is held on
 * one processor together with the observer, until it stops less often or another process stops.
 *
 * Programs see nothing of it: before a call that reads or changes the processors of a process, they are as they were,
 * and children get those that their parent had. Threads are not held, since they are made to run at the same time.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <sched.h>

enum {
	/* A process is busy that stops so many times in a row, in at most so many milliseconds. */
	BUSY_STOPS = 8,
	BUSY_TIME = 20,
	/* It no longer is with fewer stops between two looks, so many milliseconds apart. */
	IDLE_STOPS = 4,
	LOOK_EVERY = 10,
};

/* Processors of the observer and of all processes that it holds, and the one on which it holds them. */
static cpu_set_t all, one;
static bool is_off, was_used;
/* A program has chosen processors itself. */
static bool are_chosen;
/* 0 if no process is held. */
static pid_t held;
/* The process that stopped last, its number of stops, and when the first of them was. */
static pid_t last;
static unsigned int stops;
static int64_t since;

static void let_go(void)
{
	if (held == 0)
		return;
	/* Fails if the process has ended. */
	sched_setaffinity(held, sizeof(all), &all);
	sched_setaffinity(0, sizeof(all), &all);
	tick_every(0);
	held = 0;
	stops = 0;
}

static void hold(struct process *process)
{
	cpu_set_t its;
	int processor = sched_getcpu();

	if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof(all), &all) < 0 ||
	    CPU_COUNT(&all) < 2) {
		is_off = true;
		return;
	}
	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	/* It has processors of its own, or rights of its own. */
	if (sched_getaffinity(process->id, sizeof(its), &its) < 0 || !CPU_EQUAL(&its, &all) ||
	    sched_setaffinity(process->id, sizeof(one), &one) < 0) {
		process->is_unheld = true;
		return;
	}
	held = process->id;
	was_used = process->was_held = true;
	sched_setaffinity(0, sizeof(one), &one);
	tick_every(LOOK_EVERY);
}

void hold_if_busy(struct process *process)
{
	if (is_off)
		return;
	if (process->id != last) {
		let_go();
		last = process->id;
		stops = 0;
	}
	if (stops++ == 0)
		since = now();
	if (held != 0 || stops < BUSY_STOPS || process->is_unheld || !process->has_started)
		return;
	stops = 0;
	if (now() - since <= BUSY_TIME)
		hold(process);
}

void let_go_if_idle(void)
{
	if (stops < IDLE_STOPS)
		let_go();
	stops = 0;
}

void hold_no_more(struct process *process)
{
	if (process->id == held)
		let_go();
	process->is_unheld = true;
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

void restore_child(pid_t child, const struct process *parent)
{
	cpu_set_t its;
	if (!was_used || sched_getaffinity(child, sizeof(its), &its) < 0 || CPU_COUNT(&its) != 1)
		return;
	/* If no program has chosen its processors, the only one of the child is the observer's choice. */
	if (!are_chosen || (parent != NULL && parent->was_held && CPU_EQUAL(&its, &one)))
		sched_setaffinity(child, sizeof(all), &all);
}
