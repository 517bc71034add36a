/* Memory that is never freed. */
#define _GNU_SOURCE
#include "launcher.h"

#include <stdlib.h>
#include <string.h>

/* Options are kept until the process ends. */
void *allocate(size_t size)
{
	static struct kept {
		struct kept *next;
		max_align_t bytes[];
	} *all;
	struct kept *kept = calloc(1, sizeof(*kept) + size);
	if (kept == NULL)
		die_errno("allocate memory", NULL);
	kept->next = all;
	all = kept;
	return kept->bytes;
}

void *grown(const void *list, size_t count, size_t size)
{
	void *larger = allocate((count + 3) * size);
	return count == 0 ? larger : memcpy(larger, list, count * size);
}

char *copy_of(const char *text)
{
	return strcpy(allocate(strlen(text) + 1), text);
}
