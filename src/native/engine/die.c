#define _GNU_SOURCE
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
	dprintf(STDERR_FILENO, "jail_engine: %s\n", what);
	exit(2);
}
