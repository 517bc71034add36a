/*
 * Restricts the command to certain paths (landlock(7)), in addition to all other checks: paths that are not listed
 * cannot be opened, executed or changed, whatever the user and the mode.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights added to linux/landlock.h by ABI 2, 3 and 5 (Linux 5.19, 6.2, 6.10). */
#define REFER (1ULL << 13)
#define TRUNCATE (1ULL << 14)
#define IOCTL_DEVICE (1ULL << 15)

static const struct {
	char letter;
	uint64_t rights;
} letters[] = {
	{ 'r', LANDLOCK_ACCESS_FS_READ_FILE },
	{ 'l', LANDLOCK_ACCESS_FS_READ_DIR },
	{ 'x', LANDLOCK_ACCESS_FS_EXECUTE },
	{ 'w', LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | IOCTL_DEVICE },
	{ 'm', LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
		       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		       LANDLOCK_ACCESS_FS_MAKE_SYM | REFER },
};
/* Rights that apply to files other than directories. */
#define OF_FILES                                                                                       \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | \
	 IOCTL_DEVICE)

/* The rules file's text and its end, and the ruleset, or -1. */
static char *text, *text_end;
static int ruleset = -1;
static uint64_t handled;

/* Each ABI adds rights; the kernel refuses those it does not know. */
static uint64_t rights_of(long abi)
{
	uint64_t all = LANDLOCK_ACCESS_FS_EXECUTE;
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		all |= letters[i].rights;
	return all & ~(abi < 2 ? REFER : 0) & ~(abi < 3 ? TRUNCATE : 0) & ~(abi < 5 ? IOCTL_DEVICE : 0);
}

static void find_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		die_advised("limit the command by Landlock", NULL,
			    errno == EOPNOTSUPP ? "it is not enabled: boot the kernel with lsm=landlock,..." :
						  "it requires Linux 5.13 or later with Landlock");
	handled = rights_of(abi);
	log_step("Landlock has ABI %ld", abi);
	if (abi < 3)
		fprintf(stderr, "invoke_ns: the Landlock of this kernel (ABI %ld) does not keep the command from "
				"truncating files; from Linux 6.2 on it does\n", abi);
}

void load_landlock(const char *path)
{
	struct stat stat;
	size_t size = 0;
	ssize_t got;
	if (path == NULL)
		return;
	find_landlock();
	scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0)
		die_errno("open the Landlock rules", path);
	text = allocate((size_t)stat.st_size + 1);
	while (size < (size_t)stat.st_size && (got = read(fd, text + size, (size_t)stat.st_size - size)) != 0) {
		if (got < 0)
			die_errno("read the Landlock rules", path);
		size += (size_t)got;
	}
	text_end = text + size;
	if (size > 0 && text_end[-1] != '\0')
		die("each Landlock rule must end with a NUL", path);
}

static uint64_t rights_named(const char *rule, size_t length)
{
	uint64_t rights = 0;
	for (const char *letter = rule; letter < rule + length; letter++) {
		size_t i = 0;
		while (i < sizeof(letters) / sizeof(letters[0]) && letters[i].letter != *letter)
			i++;
		if (i == sizeof(letters) / sizeof(letters[0]))
			die("a Landlock rule must be [r][l][x][w][m]:PATH, not", rule);
		rights |= letters[i].rights;
	}
	return rights & handled;
}

/* Paths that do not exist need no rule. */
static void add_rule(const char *rule)
{
	struct stat stat;
	size_t length = strcspn(rule, ":");
	if (rule[length] == '\0' || rule[length + 1] != '/')
		die("a Landlock rule must be [r][l][x][w][m]:PATH, not", rule);
	const char *path = rule + length + 1;
	scoped_fd fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return;
	if (fd < 0 || fstat(fd, &stat) < 0)
		die_errno("open for a Landlock rule", path);
	uint64_t rights = rights_named(rule, length) & (S_ISDIR(stat.st_mode) ? ~0ULL : OF_FILES);
	struct landlock_path_beneath_attr beneath = { .allowed_access = rights, .parent_fd = fd };
	if (rights != 0 && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		die_errno("add a Landlock rule for", path);
}

void make_landlock_rules(void)
{
	struct landlock_ruleset_attr all = { .handled_access_fs = handled };
	if (text == NULL)
		return;
	/* The size of the first ABI's structure, which all kernels accept. */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);
	if (ruleset < 0)
		die_errno("make the Landlock ruleset", NULL);
	for (const char *rule = text; rule < text_end; rule += strlen(rule) + 1)
		add_rule(rule);
}

/* Requires no_new_privs or CAP_SYS_ADMIN. Open files stay accessible. */
void limit_by_landlock(void)
{
	if (ruleset < 0)
		return;
	log_step("limiting the command by Landlock");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		die_errno("limit the command by Landlock", NULL);
	close(ruleset);
}
