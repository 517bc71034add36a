#include "observer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void die(const char *step)
{
	fprintf(stderr, "jailbuild: cannot observe the command: %s: %s\n", step, strerror(errno));
	_exit(FAILED);
}
