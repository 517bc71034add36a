#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The default of env(1) without PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

static bool is_program(const char *path)
{
	struct stat stat_;

	return stat(path, &stat_) == 0 && S_ISREG(stat_.st_mode) && access(path, X_OK) == 0;
}

bool next_on_path(const char **path, const char *name, char file[PATH_MAX])
{
	while (*path != NULL) {
		const char *item = *path;
		size_t length = strcspn(item, ":");
		/* An empty item is the working directory. */
		int written = length == 0 ? snprintf(file, PATH_MAX, "./%s", name)
					  : snprintf(file, PATH_MAX, "%.*s/%s", (int)length, item, name);
		*path = item[length] == '\0' ? NULL : item + length + 1;
		if (written < PATH_MAX)
			return true;
	}
	return false;
}

void find_node(char node[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (path == NULL)
		path = DEFAULT_PATH;
	while (next_on_path(&path, "node", node)) {
		if (is_program(node))
			return;
	}
	fail(127, "node is not on PATH: install Node 20.19 or later");
}

/* This program is dist/native/linux-ARCH/jailbuild. */
void find_dist(char dist[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", dist, PATH_MAX);

	if (length < 0)
		fail(1, "/proc/self/exe: %s: mount /proc, or run node with dist/jailbuild.cjs",
		     strerror(errno));
	if (length == PATH_MAX)
		fail(1, "/proc/self/exe: %s", strerror(ENAMETOOLONG));
	dist[length] = '\0';
	for (int i = 0; i < 3; i++) {
		char *slash = strrchr(dist, '/');
		if (slash == NULL)
			fail(1, "%s: is not below a dist directory", dist);
		*slash = '\0';
	}
}
