/* The jail's passwd and group (passwd(5), group(5)), read after entering the root. Their content is not trusted. */
#define _GNU_SOURCE
#include "launcher.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FIELDS = 7, NAME = 0, ID = 2, GROUP = 3, HOME = 5 };
/* Maximum number of bytes read from a file: a sparse file of any size costs nothing to create. */
enum { MOST_BYTES = 16 << 20 };
/* The last two numbers are reserved: "no change" in setresuid(2), and its 16-bit form. */
#define MOST_ID 4294967294LL

static long long parse_id(const char *text)
{
	long long id = parse_number(text, 10);
	return id < MOST_ID ? id : -1;
}

/* Finds the line that has a text in a field, and splits it into fields. */
static bool find_line(const char *path, int field, const char *text, char line[1024],
		      char *fields[MOST_FIELDS])
{
	struct stat stat;
	bool found = false;
	/* Do not wait for a writer to a fifo. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		die("not a regular file in the jail", path);
	if (stat.st_size > MOST_BYTES)
		die("too large in the jail", path);
	FILE *file = fdopen(fd, "r");
	if (file == NULL)
		die_errno("read", path);
	while (!found && fgets(line, 1024, file) != NULL) {
		char *rest = line;
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < MOST_FIELDS; i++) {
			const char *value = strsep(&rest, ":");
			fields[i] = value == NULL ? line + strlen(line) : (char *)value;
		}
		found = *line != '\0' && strcmp(fields[field], text) == 0;
	}
	fclose(file);
	return found;
}

static gid_t find_group(const char *group)
{
	char line[1024], *fields[MOST_FIELDS] = { NULL };
	long long gid = parse_id(group);
	if (gid >= 0)
		return (gid_t)gid;
	if (!find_line("/etc/group", NAME, group, line, fields))
		die("no such group in /etc/group of the jail", group);
	gid = parse_id(fields[ID]);
	if (gid < 0)
		die("no group number in /etc/group of the jail for", group);
	return (gid_t)gid;
}

/* Looks up NAME or UID, and the group: by default that of passwd, or the same number for a user not in passwd. */
void look_up_user(const char *user, struct identity *identity)
{
	char name[256], line[1024], *fields[MOST_FIELDS] = { NULL };
	const char *group = strchr(user, ':');

	*identity = (struct identity){ 0 };
	if (snprintf(name, sizeof(name), "%.*s", (int)strcspn(user, ":"), user) >= (int)sizeof(name))
		die("no such user in /etc/passwd of the jail", user);
	long long uid = parse_id(name);
	bool known = find_line("/etc/passwd", uid >= 0 ? ID : NAME, name, line, fields);
	long long gid = known ? parse_id(fields[GROUP]) : uid;
	if (!known && uid < 0)
		die("no such user in /etc/passwd of the jail", user);
	if (known) {
		uid = parse_id(fields[ID]);
		snprintf(identity->home, sizeof(identity->home), "%s", fields[HOME]);
	}
	if (uid < 0 || gid < 0)
		die("no user or group number in /etc/passwd of the jail for", user);
	identity->uid = (uid_t)uid;
	identity->gid = group != NULL ? find_group(group + 1) : (gid_t)gid;
}
