#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_WORKERS 8
/* Minimum number of operations before other threads are woken. */
#define WORTH_SHARING 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Broadcast when an operation may be claimed, or none is left. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job *first, *last;
static uint32_t workers, stopped_run;
static uint64_t posted;
/* A signal has arrived: interruptible jobs end, including those still to be posted. */
static bool interrupted;
static bool ending;

/*
 * Finds an operation to run, under the lock. Jobs are taken in order. An ordered job waits for all before it, blocks
 * those after it, and runs one operation at a time.
 */
static struct job *claim(uint32_t *index)
{
	for (struct job *job = first; job != NULL; job = job->next) {
		if (job->stopped)
			job->claimed = job->count;
		if (job->ordered && (job != first || job->running > 0))
			return NULL;
		if (job->claimed < job->count) {
			*index = job->claimed++;
			job->running++;
			return job;
		}
		if (job->ordered)
			return NULL;
	}
	return NULL;
}

/* Removes completed jobs from the list, under the lock. */
static void retire(void)
{
	for (struct job **link = &first; *link != NULL;) {
		struct job *job = *link;
		if (job->stopped)
			job->claimed = job->count;
		if (job->claimed < job->count || job->running > 0) {
			last = job;
			link = &job->next;
			continue;
		}
		*link = job->next;
		reply_end(job->number, job->interrupted ? ECANCELED : 0);
		free_job(job);
	}
	if (first == NULL)
		last = NULL;
}

/* After a failure or a stop request, starts no more operations of the run. */
static void stop_jobs(uint32_t run)
{
	stopped_run = run;
	for (struct job *job = first; job != NULL; job = job->next) {
		if (job->run == run)
			job->stopped = true;
	}
}

static void *work(void *argument)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	(void)argument;
	if (worker == NULL)
		die("out of memory");
	worker->directory_fd = worker->output_fd = -1;
	worker->own_cwd = unshare(CLONE_FS) == 0;
	pthread_mutex_lock(&lock);
	for (;;) {
		uint32_t index;
		struct job *job = claim(&index);
		if (job == NULL) {
			reply_flush();
			if (ending)
				break;
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		if (worker->serial != job->serial)
			forget_files(worker);
		worker->serial = job->serial;
		worker->job = job;
		worker->index = index;
		bool done = carry_out(worker, &job->operations[index]);
		pthread_mutex_lock(&lock);
		job->running--;
		if (!done)
			stop_jobs(job->run);
		if (job->stopped)
			job->claimed = job->count;
		bool was_last = job->running == 0 && job->claimed == job->count;
		if (was_last || !done) {
			/* The next job may be allocated at the same address. */
			worker->job = NULL;
			retire();
			pthread_cond_broadcast(&changed);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static uint32_t wanted_workers(const struct job *job)
{
	if (job->ordered || job->count < WORTH_SHARING)
		return 1;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	if (processors < 2)
		processors = 2;
	return processors > MAX_WORKERS ? MAX_WORKERS : (uint32_t)processors;
}

void post_job(struct job *job)
{
	pthread_t thread;
	sigset_t all, before;
	/* A job of a failed run may be freed as soon as it is posted. */
	uint32_t wanted = wanted_workers(job);

	pthread_mutex_lock(&lock);
	job->serial = ++posted;
	job->interrupted = interrupted && job->interruptible;
	job->stopped = job->interrupted || job->run == stopped_run;
	if (last != NULL)
		last->next = job;
	else
		first = job;
	last = job;
	if (job->stopped || job->count == 0) {
		retire();
		reply_flush();
	}
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; workers < wanted; workers++) {
		if (pthread_create(&thread, NULL, work, NULL) != 0) {
			if (workers == 0)
				die("cannot make a thread");
			break;
		}
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void stop_run(uint32_t run)
{
	pthread_mutex_lock(&lock);
	stop_jobs(run);
	retire();
	reply_flush();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void interrupt_runs(void)
{
	pthread_mutex_lock(&lock);
	interrupted = true;
	for (struct job *job = first; job != NULL; job = job->next) {
		if (!job->interruptible || job->stopped)
			continue;
		job->interrupted = true;
		stop_jobs(job->run);
	}
	retire();
	reply_flush();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void stop_all(void)
{
	for (struct job *job = first; job != NULL; job = job->next)
		job->stopped = true;
}

static void wait_until_idle(void)
{
	for (;;) {
		bool busy = false;
		for (struct job *job = first; job != NULL; job = job->next)
			busy = busy || job->running > 0;
		if (!busy)
			break;
		pthread_cond_wait(&changed, &lock);
	}
}

void drop_jobs(void)
{
	pthread_mutex_lock(&lock);
	stop_all();
	wait_until_idle();
	retire();
	stopped_run = 0;
	pthread_mutex_unlock(&lock);
}

/* Ends after running operations; discards those not started. */
void finish_jobs(void)
{
	pthread_mutex_lock(&lock);
	ending = true;
	stop_all();
	wait_until_idle();
	/* The process exits while holding the lock, so that no thread starts anything more. */
}
