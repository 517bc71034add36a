#define _GNU_SOURCE
#include "front.h"

bool choose_snapshot(const struct start *start, char blob[PATH_MAX])
{
	(void)start; (void)blob;
	return false;
}
