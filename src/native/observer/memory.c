#define _GNU_SOURCE
#include "observer.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

enum { PAGE = 4096, CHUNK = 256 };

static ssize_t copy_from(pid_t process, uint64_t address, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)address, size };
	return process_vm_readv(process, &local, 1, &remote, 1, 0);
}

static enum reading failure(void)
{
	/* A process that has ended reports nothing. */
	return errno == EPERM ? READ_REFUSED : READ_FAULT;
}

enum reading read_memory(pid_t process, uint64_t address, void *to, size_t size)
{
	ssize_t got = copy_from(process, address, to, size);
	if (got < 0)
		return failure();
	return (size_t)got == size ? READ_OK : READ_FAULT;
}

/* Never reads across the end of a page: the next one may not be mapped. */
enum reading read_path(pid_t process, uint64_t address, char to[PATH_SIZE])
{
	for (size_t got = 0; got < PATH_SIZE;) {
		size_t want = PAGE - (address + got) % PAGE;
		if (want > CHUNK)
			want = CHUNK;
		if (want > PATH_SIZE - got)
			want = PATH_SIZE - got;
		ssize_t read = copy_from(process, address + got, to + got, want);
		if (read <= 0)
			return failure();
		if (memchr(to + got, '\0', (size_t)read) != NULL)
			return READ_OK;
		got += (size_t)read;
	}
	/* Too long for the kernel too. */
	return READ_FAULT;
}
