/* Parses options that place something in the jail. */
#define _GNU_SOURCE
#include "option_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static struct mount *add_mount(struct options *options, enum mount_kind kind)
{
	options->mounts = grown(options->mounts, options->mount_count, sizeof(struct mount));
	struct mount *mount = &options->mounts[options->mount_count++];
	*mount = (struct mount){ .kind = kind, .mode = MODE_UNSET, .fd = -1, .tree = -1 };
	return mount;
}

/*
 * Splits a text at colons into at most `most` fields; the last may contain more. A backslash escapes a colon or a
 * backslash.
 */
static size_t cut(const char *value, char **fields, size_t most)
{
	char *to = allocate(strlen(value) + 1);
	size_t count = 0;
	fields[count++] = to;
	for (const char *from = value; *from != '\0'; from++) {
		if (*from == ':' && count < most) {
			*to++ = '\0';
			fields[count++] = to;
			continue;
		}
		if (*from == '\\' && (from[1] == ':' || from[1] == '\\'))
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return count;
}

static const struct {
	const char *word;
	unsigned int set, cleared;
} attributes[] = {
	{ "ro", ATTRIBUTE_READ_ONLY, 0 },
	{ "rw", 0, ATTRIBUTE_READ_ONLY },
	{ "nosuid", ATTRIBUTE_NOSUID, 0 },
	{ "suid", 0, ATTRIBUTE_NOSUID },
	{ "nodev", ATTRIBUTE_NODEV, 0 },
	{ "dev", 0, ATTRIBUTE_NODEV },
	{ "noexec", ATTRIBUTE_NOEXEC, 0 },
	{ "exec", 0, ATTRIBUTE_NOEXEC },
	{ "noatime", ATTRIBUTE_NOATIME, ATTRIBUTE_STRICTATIME },
	{ "strictatime", ATTRIBUTE_STRICTATIME, ATTRIBUTE_NOATIME },
	{ "nodiratime", ATTRIBUTE_NODIRATIME, 0 },
	{ "relatime", 0, ATTRIBUTE_NOATIME | ATTRIBUTE_STRICTATIME },
};

static bool take_attribute(struct mount *mount, const char *word)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (strcmp(attributes[i].word, word) != 0)
			continue;
		mount->attributes = (mount->attributes & ~attributes[i].cleared) | attributes[i].set;
		return true;
	}
	return false;
}

/* Parses a mode. Returns false for invalid text, and for a second mode. */
static bool take_mode(struct mount *mount, const char *text)
{
	if (mount->mode != MODE_UNSET)
		return false;
	long long mode = parse_number(text, 8);
	mount->mode = (mode_t)mode;
	return mode >= 0 && mode <= 07777;
}

static void take_bind_options(struct mount *mount, char *words, const struct row *row, const char *value)
{
	for (char *word = strsep(&words, ","); word != NULL; word = strsep(&words, ",")) {
		if (strcmp(word, "try") == 0)
			mount->is_optional = true;
		else if (strcmp(word, "flat") == 0)
			mount->is_flat = true;
		else if (!take_attribute(mount, word))
			die_of(row, value);
	}
}

static void check_target(const struct mount *mount, const struct row *row, const char *value)
{
	if (*mount->target != '/')
		die_of(row, value);
}

/* SRC[:DEST[:OPTION,...]], or SRC:ro */
void parse_bind(struct options *options, const struct row *row, const char *value)
{
	char *fields[3] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_BIND);
	size_t count = cut(value, fields, 3);
	mount->attributes = ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV;
	if (count == 2 && (strcmp(fields[1], "ro") == 0 || strcmp(fields[1], "rw") == 0)) {
		fields[2] = fields[1];
		fields[1] = fields[0];
	}
	mount->source = fields[0];
	mount->target = fields[1] != NULL ? fields[1] : fields[0];
	if (*mount->source == '\0')
		die_of(row, value);
	check_target(mount, row, value);
	if (fields[2] != NULL)
		take_bind_options(mount, fields[2], row, value);
}

void parse_dev_bind(struct options *options, const struct row *row, const char *value)
{
	parse_bind(options, row, value);
	options->mounts[options->mount_count - 1].attributes &= ~(unsigned int)ATTRIBUTE_NODEV;
}

/* Each lower directory is a layer, which the kernel limits by the length of an option. */
enum { MOST_LOWERS = 16, OTHER_FIELDS = 3 };

/* SRC:DEST[:UPPER:WORK[:SRC...]]; UPPER and WORK may be empty. Each SRC covers those before it. */
void parse_overlay_mount(struct options *options, const struct row *row, const char *value)
{
	char *fields[MOST_LOWERS + OTHER_FIELDS + 1] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_OVERLAY);
	size_t count = cut(value, fields, sizeof(fields) / sizeof(fields[0]));
	if (count < 2 || count == 3 || count == sizeof(fields) / sizeof(fields[0]))
		die_of(row, value);
	mount->source = fields[0];
	mount->target = fields[1];
	if (count >= 4 && (*fields[2] != '\0' || *fields[3] != '\0')) {
		mount->upper = fields[2];
		mount->work = fields[3];
	}
	mount->lowers = allocate(MOST_LOWERS * sizeof(char *));
	for (size_t i = count; i > OTHER_FIELDS + 1; i--)
		mount->lowers[mount->lower_count++] = fields[i - 1];
	mount->lowers[mount->lower_count++] = fields[0];
	for (size_t i = 0; i < mount->lower_count; i++)
		if (*mount->lowers[i] != '/')
			die_of(row, value);
	mount->attributes = ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV;
	check_target(mount, row, value);
}

void parse_ro_overlay_mount(struct options *options, const struct row *row, const char *value)
{
	parse_overlay_mount(options, row, value);
	options->mounts[options->mount_count - 1].attributes |= ATTRIBUTE_READ_ONLY;
}

void parse_bind_fd(struct options *options, const struct row *row, const char *value)
{
	char *fields[3] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_BIND);
	if (cut(value, fields, 3) < 2)
		die_of(row, value);
	mount->attributes = ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV;
	mount->fd = parse_descriptor(options, row, fields[0]);
	mount->source = fields[0];
	mount->target = fields[1];
	check_target(mount, row, value);
	if (fields[2] != NULL)
		take_bind_options(mount, fields[2], row, value);
}

/* The kernel truncates numbers that are too large (lib/cmdline.c, memparse). */
static bool overflows(const char *word)
{
	static const char *const numbers[] = { "size=", "nr_inodes=", "nr_blocks=" };
	static const char units[] = "kmgtpe";
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t length = strlen(numbers[i]);
		char *unit;
		if (strncmp(word, numbers[i], length) != 0)
			continue;
		errno = 0;
		unsigned long long number = strtoull(word + length, &unit, 0);
		const char *place = *unit == '\0' ? NULL : strchr(units, *unit | 0x20);
		unsigned int shift = place != NULL ? 10 * (unsigned int)(place - units + 1) : 0;
		return errno == ERANGE || number > (unsigned long long)INT64_MAX >> shift;
	}
	return false;
}

/* Returns whether comma-separated options contain a value of the same name. */
static bool has_same_name(const char *data, const char *word)
{
	size_t length = strcspn(word, "=");
	if (word[length] != '=')
		return false;
	for (; data != NULL; data = strchr(data, ',')) {
		data += *data == ',';
		if (strncmp(data, word, length + 1) == 0)
			return true;
	}
	return false;
}

/* Separates mount options from those passed to the file system. */
static void take_filesystem(struct mount *mount, char *words, const struct row *row, const char *value)
{
	char *data = allocate(words != NULL ? strlen(words) + 1 : 1);
	/* Terminals are device nodes. */
	mount->attributes = ATTRIBUTE_NOSUID | (strcmp(mount->type, "devpts") == 0 ? 0U : ATTRIBUTE_NODEV);
	check_target(mount, row, value);
	for (const char *word = strsep(&words, ","); word != NULL; word = strsep(&words, ",")) {
		if (overflows(word))
			die("the number exceeds the maximum of the kernel", word);
		if (*word == '\0' || take_attribute(mount, word))
			continue;
		if (row->parse == parse_tmpfs && has_same_name(mount->data, word))
			die("the option of a tmpfs is given twice", word);
		if (*data != '\0')
			strcat(data, ",");
		strcat(data, word);
		mount->data = data;
	}
}

void parse_tmpfs(struct options *options, const struct row *row, const char *value)
{
	char *fields[2] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_FILESYSTEM);
	cut(value, fields, 2);
	mount->type = "tmpfs";
	mount->target = fields[0];
	take_filesystem(mount, fields[1], row, value);
}

void parse_filesystem(struct options *options, const struct row *row, const char *value)
{
	char *fields[3] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_FILESYSTEM);
	if (cut(value, fields, 3) < 2)
		die_of(row, value);
	mount->type = fields[0];
	mount->target = fields[1];
	take_filesystem(mount, fields[2], row, value);
}

void parse_mqueue(struct options *options, const struct row *row, const char *value)
{
	char *fields[1];
	struct mount *mount = add_mount(options, MOUNT_FILESYSTEM);
	cut(value, fields, 1);
	mount->type = "mqueue";
	mount->target = fields[0];
	take_filesystem(mount, NULL, row, value);
	mount->attributes |= ATTRIBUTE_NOEXEC;
}

/* FD:DEST and optional further fields. */
static struct mount *add_data(struct options *options, enum mount_kind kind, const struct row *row,
			      const char *value, char **more)
{
	char *fields[3] = { NULL };
	struct mount *mount = add_mount(options, kind);
	if (cut(value, fields, 3) < 2)
		die_of(row, value);
	mount->fd = parse_descriptor(options, row, fields[0]);
	mount->target = fields[1];
	check_target(mount, row, value);
	*more = fields[2];
	return mount;
}

void parse_file(struct options *options, const struct row *row, const char *value)
{
	char *mode;
	struct mount *mount = add_data(options, MAKE_FILE, row, value, &mode);
	if (mode != NULL && !take_mode(mount, mode))
		die_of(row, value);
}

void parse_bind_data(struct options *options, const struct row *row, const char *value)
{
	char *words;
	struct mount *mount = add_data(options, MOUNT_DATA, row, value, &words);
	mount->attributes = ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV;
	for (char *word = strsep(&words, ","); word != NULL; word = strsep(&words, ",")) {
		bool is_mode = strncmp(word, "mode=", 5) == 0;
		if (is_mode ? !take_mode(mount, word + 5) : !take_attribute(mount, word))
			die_of(row, value);
	}
}

void parse_dir(struct options *options, const struct row *row, const char *value)
{
	char *fields[2] = { NULL };
	struct mount *mount = add_mount(options, MAKE_DIRECTORY);
	cut(value, fields, 2);
	mount->target = fields[0];
	check_target(mount, row, value);
	if (fields[1] != NULL && !take_mode(mount, fields[1]))
		die_of(row, value);
}

void parse_symlink(struct options *options, const struct row *row, const char *value)
{
	char *fields[2] = { NULL };
	struct mount *mount = add_mount(options, MAKE_LINK);
	if (cut(value, fields, 2) < 2 || *fields[0] == '\0')
		die_of(row, value);
	mount->source = fields[0];
	mount->target = fields[1];
	check_target(mount, row, value);
}

void parse_chmod(struct options *options, const struct row *row, const char *value)
{
	char *fields[2] = { NULL };
	struct mount *mount = add_mount(options, CHANGE_MODE);
	if (cut(value, fields, 2) < 2 || !take_mode(mount, fields[0]))
		die_of(row, value);
	mount->target = fields[1];
	check_target(mount, row, value);
}

static void add_cover(struct options *options, enum mount_kind kind, const struct row *row, const char *value)
{
	char *fields[1];
	struct mount *mount = add_mount(options, kind);
	cut(value, fields, 1);
	mount->target = fields[0];
	check_target(mount, row, value);
}

void parse_mask(struct options *options, const struct row *row, const char *value)
{
	add_cover(options, MOUNT_MASK, row, value);
}

void parse_protect(struct options *options, const struct row *row, const char *value)
{
	add_cover(options, MOUNT_PROTECT, row, value);
}

void parse_device(struct options *options, const struct row *row, const char *value)
{
	char *fields[7] = { NULL };
	struct mount *mount = add_mount(options, MOUNT_DEVICE);
	size_t count = cut(value, fields, 7);
	long long major_number = count < 4 ? -1 : parse_number(fields[2], 10);
	long long minor_number = count < 4 ? -1 : parse_number(fields[3], 10);
	long long uid = count < 7 ? 0 : parse_number(fields[5], 10);
	long long gid = count < 7 ? 0 : parse_number(fields[6], 10);
	if (major_number < 0 || minor_number < 0 || (strcmp(fields[1], "b") != 0 && strcmp(fields[1], "c") != 0) ||
	    !take_mode(mount, count >= 5 ? fields[4] : "0666") || count == 6 || uid < 0 || uid >= UINT32_MAX ||
	    gid < 0 || gid >= UINT32_MAX)
		die_of(row, value);
	mount->mode |= *fields[1] == 'b' ? S_IFBLK : S_IFCHR;
	mount->device = makedev((unsigned int)major_number, (unsigned int)minor_number);
	mount->uid = (uid_t)uid;
	mount->gid = (gid_t)gid;
	mount->target = fields[0];
	check_target(mount, row, value);
}
