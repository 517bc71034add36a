#define _GNU_SOURCE
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/*
 * As fs/insecure-parent.ts, but without links. Where a line of passwd(5) or group(5) is unusual, this program may refuse
 * a directory that Node accepts, never the reverse.
 */

enum { NAME = 0, ID = 2, GROUP = 3, MEMBERS = 3, FIELDS = 4 };

/* Reads the next line; fields that it lacks are empty. */
static bool read_line(FILE *file, char **line, size_t *size, char *fields[FIELDS])
{
	if (getline(line, size, file) < 0)
		return false;
	char *rest = *line;
	rest[strcspn(rest, "\n")] = '\0';
	for (int i = 0; i < FIELDS; i++) {
		char *field = strsep(&rest, ":");
		fields[i] = field == NULL ? *line + strlen(*line) : field;
	}
	return true;
}

/* Returns -1 for anything but a decimal number. */
static long long parse_id(const char *text)
{
	size_t length = strspn(text, "0123456789");

	return length == 0 || length > 10 || text[length] != '\0' ? -1 : atoll(text);
}

static bool is_trusted_id(const char *text)
{
	long long uid = parse_id(text);

	return uid == 0 || uid == (long long)geteuid();
}

/* Returns whether the only user with a name is root or the caller. */
static bool is_trusted_name(FILE *users, const char *name)
{
	char *line = NULL, *fields[FIELDS];
	size_t size = 0;
	bool is_known = false, is_trusted = true;

	rewind(users);
	while (is_trusted && read_line(users, &line, &size, fields)) {
		if (strcmp(fields[NAME], name) != 0)
			continue;
		is_known = true;
		is_trusted = is_trusted_id(fields[ID]);
	}
	free(line);
	return is_known && is_trusted;
}

/* Returns whether it is the own group of root and the caller alone, or of nobody. */
static bool is_own_group(FILE *users, gid_t gid)
{
	char *line = NULL, *fields[FIELDS];
	size_t size = 0;
	bool is_own = true;

	while (is_own && read_line(users, &line, &size, fields)) {
		long long group = parse_id(fields[GROUP]);
		if (group == (long long)gid || (group < 0 && *fields[NAME] != '\0'))
			is_own = is_trusted_id(fields[ID]);
	}
	free(line);
	return is_own;
}

static bool are_trusted_names(FILE *users, char *names)
{
	char *name;

	while ((name = strsep(&names, ",")) != NULL) {
		if (*name != '\0' && !is_trusted_name(users, name))
			return false;
	}
	return true;
}

static bool has_trusted_members(FILE *users, FILE *groups, gid_t gid)
{
	char *line = NULL, *fields[FIELDS];
	size_t size = 0;
	bool is_trusted = true;

	while (is_trusted && read_line(groups, &line, &size, fields)) {
		if (parse_id(fields[ID]) == (long long)gid)
			is_trusted = are_trusted_names(users, fields[MEMBERS]);
	}
	free(line);
	return is_trusted;
}

/* Returns whether a group gives rights to nobody but root and the caller. */
static bool is_safe_group(gid_t gid)
{
	FILE *users = fopen("/etc/passwd", "re"), *groups = fopen("/etc/group", "re");
	bool is_safe = users != NULL && groups != NULL && is_own_group(users, gid) &&
		       has_trusted_members(users, groups, gid) && ferror(users) == 0 && ferror(groups) == 0;

	if (users != NULL)
		fclose(users);
	if (groups != NULL)
		fclose(groups);
	return is_safe;
}

/* With an access control list, the bits of the group are its mask, and other users may have rights (acl(5)). */
static bool has_no_acl(int fd)
{
	char path[32];

	/* fgetxattr(2) refuses descriptors of O_PATH. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "system.posix_acl_access", NULL, 0) < 0 &&
	       (errno == ENODATA || errno == EOPNOTSUPP);
}

static bool is_safe(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || (stat.st_uid != 0 && stat.st_uid != geteuid()))
		return false;
	if ((stat.st_mode & S_ISVTX) != 0 || (stat.st_mode & 022) == 0)
		return true;
	return (stat.st_mode & 002) == 0 && has_no_acl(fd) && is_safe_group(stat.st_gid);
}

int open_safe_directory(const char *path)
{
	char names[PATH_MAX], *rest = names;

	if (*path != '/' || strlen(path) >= sizeof(names))
		return -1;
	strcpy(names, path);
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && is_safe(fd)) {
		char *name = strsep(&rest, "/");
		while (name != NULL && *name == '\0')
			name = strsep(&rest, "/");
		if (name == NULL)
			return fd;
		int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}
