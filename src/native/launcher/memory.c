/* Memory that is never freed. */
#define _GNU_SOURCE
#include "launcher.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Options are kept until the process ends. */
#ifdef __SANITIZE_ADDRESS__
/* One at a time, so that accesses beyond an allocation are found. */
void *allocate(size_t size)
{
	void *allocated = calloc(1, size);
	if (allocated == NULL)
		die_errno("allocate memory", NULL);
	return allocated;
}
#else
/*
 * Each page that is written to costs a fault here, and another in the child, which is as long as ten system calls. So a
 * few arguments lie beside the other variables, and malloc(3) with its own pages is not used.
 */
enum { FEW = 1 << 11, MANY = 1 << 16 };

void *allocate(size_t size)
{
	static max_align_t few[FEW / sizeof(max_align_t)];
	static char *next = (char *)few;
	static size_t left = FEW;

	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (size > left) {
		size_t more = size > MANY ? size : MANY;
		next = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (next == MAP_FAILED)
			die_errno("allocate memory", NULL);
		left = more;
	}
	void *allocated = next;
	next += size;
	left -= size;
	return allocated;
}
#endif

void *grown(const void *list, size_t count, size_t size)
{
	void *larger = allocate((count + 3) * size);
	return count == 0 ? larger : memcpy(larger, list, count * size);
}

char *copy_of(const char *text)
{
	return strcpy(allocate(strlen(text) + 1), text);
}
