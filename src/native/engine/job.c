#define _GNU_SOURCE
#include "engine.h"

#include <stdlib.h>

/* Returns whether the worker's job has been stopped. */
bool is_stopped(const struct worker *worker)
{
	return worker->job->stopped;
}

void free_job(struct job *job)
{
	for (uint32_t i = 0; i < job->count; i++)
		free(job->operations[i].attributes.xattrs);
	free(job->operations);
	free(job->bytes);
	free(job->paths);
	free(job);
}
