#define _GNU_SOURCE
#include "stored.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Differ between sessions, and are not read. */
static const char *const ignored[] = { "_=",	     "SHLVL=",		"OLDPWD=",	  "SSH_CLIENT=",
				       "SSH_TTY=", "SSH_CONNECTION=", "XDG_SESSION_ID=" };

/* FNV-1a of 128 bits. */
typedef unsigned __int128 hash_t;

static void add_bytes(hash_t *hash, const void *bytes, size_t size)
{
	static const hash_t prime = ((hash_t)1 << 88) + 0x13b;

	for (const uint8_t *at = bytes; size > 0; at++, size--)
		*hash = (*hash ^ *at) * prime;
}

static void add_text(hash_t *hash, const char *text)
{
	add_bytes(hash, text, strlen(text) + 1);
}

static void add_number(hash_t *hash, unsigned long number)
{
	add_bytes(hash, &number, sizeof(number));
}

static bool is_ignored(const char *variable)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		if (strncmp(variable, ignored[i], strlen(ignored[i])) == 0)
			return true;
	}
	return false;
}

/* Another start of the machine may have another processor or kernel. */
static bool add_boot(hash_t *hash)
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	if (count <= 0)
		return false;
	add_bytes(hash, text, (size_t)count);
	return true;
}

static bool add_user(hash_t *hash)
{
	gid_t groups[1024];
	int count = getgroups(sizeof(groups) / sizeof(groups[0]), groups);

	if (count < 0 || geteuid() != getuid() || getegid() != getgid())
		return false;
	add_number(hash, geteuid());
	add_number(hash, getegid());
	add_bytes(hash, groups, (size_t)count * sizeof(groups[0]));
	return true;
}

bool make_key(char key[KEY_SIZE], int argc, char **argv, int left_out)
{
	hash_t hash = ((hash_t)0x6c62272e07bb0142U << 64) | 0x62b821756295c58dU;
	char directory[PATH_MAX];

	if (!add_boot(&hash) || !add_user(&hash) || getcwd(directory, sizeof(directory)) == NULL)
		return false;
	add_text(&hash, directory);
	add_number(&hash, (unsigned long)isatty(STDOUT_FILENO) * 2 + (unsigned long)isatty(STDERR_FILENO));
	add_number(&hash, (unsigned long)argc);
	add_number(&hash, (unsigned long)left_out);
	for (int i = 1; i < argc; i++) {
		if (i != left_out)
			add_text(&hash, argv[i]);
	}
	for (char **variable = environ; *variable != NULL; variable++) {
		if (!is_ignored(*variable))
			add_text(&hash, *variable);
	}
	snprintf(key, KEY_SIZE, "%016llx%016llx", (unsigned long long)(hash >> 64), (unsigned long long)hash);
	return true;
}
