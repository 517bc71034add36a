#define _GNU_SOURCE
#include "elf.h"
#include "engine.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Replies with what src/resolve/process/facts-text.ts writes of each file, after a line that identifies the file as
 * src/fs/file-facts.ts does. A file that is left to src/elf has no reply.
 */

/* Most symbols are ruled out by their first three bytes. */
enum { STARTS = 1 << 12, MAX_WANTED = 512 };

struct wanted {
	const char *names[MAX_WANTED];
	size_t count;
	bool starts[STARTS];
};

/* Text that is written, and whether all of it had room. */
struct text {
	char *bytes;
	size_t length, size;
	bool is_cut;
	/* Before the next item of a list. */
	const char *separator;
	const struct wanted *wanted;
	const char *defined[256];
	size_t defined_count;
};

static unsigned start_of(const char *name)
{
	unsigned one = (uint8_t)name[0], two = (uint8_t)name[1], three = (uint8_t)name[2];

	return (one ^ (two << 3) ^ (three << 6)) & (STARTS - 1);
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Takes NUL-terminated names. */
static bool take_wanted(struct wanted *wanted, const char *at, const char *end)
{
	memset(wanted, 0, sizeof(*wanted));
	for (; at < end; at += strlen(at) + 1) {
		if (wanted->count == MAX_WANTED || strlen(at) < 3)
			return false;
		wanted->names[wanted->count++] = at;
		wanted->starts[start_of(at)] = true;
	}
	qsort(wanted->names, wanted->count, sizeof(*wanted->names), compare_names);
	return true;
}

static bool is_wanted(const struct wanted *wanted, const char *name)
{
	if (name[0] == '\0' || name[1] == '\0' || name[2] == '\0' || !wanted->starts[start_of(name)])
		return false;
	return bsearch(&name, wanted->names, wanted->count, sizeof(*wanted->names), compare_names) != NULL;
}

static void put_bytes(struct text *text, const char *bytes, size_t length)
{
	if (length > text->size - text->length) {
		text->is_cut = true;
		return;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static void put(struct text *text, const char *string)
{
	put_bytes(text, string, strlen(string));
}

static void put_number(struct text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	put_bytes(text, digits + at, sizeof(digits) - at);
}

static void put_field(struct text *text, const char *name, uint64_t number)
{
	put(text, name);
	put_number(text, number);
}

static void put_flag(struct text *text, const char *name, bool flag)
{
	put(text, name);
	put(text, flag ? "true" : "false");
}

/* Puts a name that needs no escapes. */
static void put_name(struct text *text, const char *before, const char *name)
{
	put(text, before);
	put(text, "\"");
	put(text, name);
	put(text, "\"");
}

static void separate(struct text *text)
{
	put(text, text->separator);
	text->separator = ",";
}

static void put_identification(struct text *text, const uint8_t *start)
{
	static const uint8_t padding[EI_NIDENT - EI_PAD];
	uint16_t machine = elf_u16(start + offsetof(Elf64_Ehdr, e_machine));

	put_field(text, "{\"elf\":{\"identification\":{\"class\":", start[EI_CLASS]);
	put_field(text, ",\"data\":", start[EI_DATA]);
	put_field(text, ",\"version\":", start[EI_VERSION]);
	put_field(text, ",\"osAbi\":", start[EI_OSABI]);
	put_field(text, ",\"abiVersion\":", start[EI_ABIVERSION]);
	put_flag(text, ",\"isPadded\":", memcmp(start + EI_PAD, padding, sizeof(padding)) == 0);
	put_field(text, ",\"machineLittle\":", machine);
	put_field(text, ",\"machineBig\":", (uint16_t)(machine >> 8 | machine << 8));
	put_field(text, ",\"fileVersion\":", elf_u32(start + offsetof(Elf64_Ehdr, e_version)));
	put(text, "}");
}

static void put_headers(struct text *text, const struct elf *elf)
{
	static const char *const types[] = { NULL, "rel", "exec", "dyn", "core" };
	static const char *const segments[] = { NULL, "load", "dynamic", "interp", "note" };
	uint16_t type = elf_u16(elf->start + offsetof(Elf64_Ehdr, e_type));

	put(text, ",\"headers\":{\"class\":64,\"byteOrder\":\"little\"");
	put_field(text, ",\"machine\":", elf_u16(elf->start + offsetof(Elf64_Ehdr, e_machine)));
	put_field(text, ",\"flags\":", elf_u32(elf->start + offsetof(Elf64_Ehdr, e_flags)));
	if (type >= ET_REL && type <= ET_CORE)
		put_name(text, ",\"type\":", types[type]);
	put(text, ",\"segments\":[");
	text->separator = "";
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *segment = &elf->segments[i];
		separate(text);
		put_name(text, "{\"type\":", segments[segment->type]);
		put_field(text, ",\"offset\":", segment->offset);
		put_field(text, ",\"vaddr\":", segment->vaddr);
		put_field(text, ",\"filesz\":", segment->filesz);
		put_field(text, ",\"memsz\":", segment->memsz);
		put_flag(text, ",\"isExecutable\":", segment->is_executable);
		put(text, "}");
	}
	put(text, "]}");
}

static bool put_needed(struct text *text, const struct elf *elf)
{
	put(text, "\"needed\":[");
	text->separator = "";
	for (size_t i = 0; i < elf->needed_count; i++) {
		const char *name = elf_name(elf, elf->needed[i]);
		if (name == NULL)
			return false;
		separate(text);
		put_name(text, "", name);
	}
	put(text, "],\"dependencies\":[");
	text->separator = "";
	for (size_t i = 0; i < elf->needed_count; i++) {
		separate(text);
		put_name(text, "{\"kind\":\"needed\",\"name\":", elf_name(elf, elf->needed[i]));
		put(text, "}");
	}
	put(text, "]");
	return true;
}

static bool put_tag(struct text *text, const struct elf *elf, enum elf_tag tag, const char *before)
{
	const char *name = elf->has_tag[tag] ? elf_name(elf, elf->tags[tag]) : "";

	if (name == NULL)
		return false;
	if (elf->has_tag[tag])
		put_name(text, before, name);
	return true;
}

static bool put_need(void *to, const char *file, const char *version, bool is_weak)
{
	struct text *text = to;

	separate(text);
	put_name(text, "{\"file\":", file);
	put_name(text, ",\"version\":", version);
	put_flag(text, ",\"isWeak\":", is_weak);
	put(text, "}");
	return !text->is_cut;
}

static bool put_defined(void *to, const char *name)
{
	struct text *text = to;

	for (size_t i = 0; i < text->defined_count; i++) {
		if (strcmp(text->defined[i], name) == 0)
			return false;
	}
	if (text->defined_count == sizeof(text->defined) / sizeof(text->defined[0]))
		return false;
	text->defined[text->defined_count++] = name;
	separate(text);
	put_name(text, "", name);
	return !text->is_cut;
}

static bool put_import(void *to, const char *name)
{
	struct text *text = to;

	if (!is_wanted(text->wanted, name))
		return true;
	separate(text);
	put_name(text, "", name);
	return !text->is_cut;
}

static bool put_versions(struct text *text, struct elf *elf)
{
	put(text, ",\"versions\":{\"needs\":[");
	text->separator = "";
	if (!elf_needed_versions(elf, put_need, text))
		return false;
	put(text, "]");
	if (elf->has_tag[TAG_VERDEF]) {
		put(text, ",\"defines\":[");
		text->separator = "";
		if (!elf_defined_versions(elf, put_defined, text))
			return false;
		put(text, "]");
	}
	put_flag(text, ",\"hasTable\":", elf->has_tag[TAG_VERSYM]);
	put_flag(text, ",\"hasRelr\":", elf->has_tag[TAG_RELR]);
	put(text, "}");
	return true;
}

static bool put_dynamic(struct text *text, struct elf *elf)
{
	uint64_t flags = elf->tags[TAG_FLAGS_1];

	put(text, ",\"dynamic\":{");
	if (!put_tag(text, elf, TAG_SONAME, "\"soname\":"))
		return false;
	if (elf->has_tag[TAG_SONAME])
		put(text, ",");
	if (!put_needed(text, elf))
		return false;
	if (!put_tag(text, elf, TAG_RPATH, ",\"rpath\":") || !put_tag(text, elf, TAG_RUNPATH, ",\"runpath\":"))
		return false;
	put(text, ",\"filters\":[],\"auxiliaries\":[],\"audits\":[]");
	put_flag(text, ",\"noDefaultDirectories\":", flags & DF_1_NODEFLIB);
	put_flag(text, ",\"isProgram\":", flags & 0x08000000);
	if (!put_versions(text, elf))
		return false;
	put(text, "}},\"facts\":{\"imports\":[");
	text->separator = "";
	if (!elf_imports(elf, put_import, text))
		return false;
	put(text, "],\"dlopens\":[]}}");
	return elf_has_plain_notes(elf);
}

static bool put_elf(struct text *text, struct elf *elf)
{
	put_identification(text, elf->start);
	put_headers(text, elf);
	if (elf->interpreter != NULL)
		put_name(text, ",\"interpreter\":", elf->interpreter);
	if (elf->dynamic == NULL) {
		put(text, "}}");
		return !text->is_cut;
	}
	return put_dynamic(text, elf) && !text->is_cut;
}

/* Puts the line that identifies a file, as keyOf in src/fs/file-facts.ts. */
static void put_key(struct text *text, const struct stat *stat)
{
	char line[160];
	int length = snprintf(line, sizeof(line), "%" PRId64 ":%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
			      (int64_t)stat->st_dev, (int64_t)stat->st_ino, (int64_t)stat->st_size,
			      (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec,
			      (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec);

	put_bytes(text, line, (size_t)length);
}

static bool is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino && one->st_size == other->st_size &&
	       one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
	       one->st_ctim.tv_sec == other->st_ctim.tv_sec && one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

/* Writes what an open file contains; returns false if it is left to src/elf, or changes meanwhile. */
static bool put_file(struct text *text, int fd)
{
	static _Thread_local uint8_t start[ELF_START];
	struct stat before, after;
	struct elf elf;

	if (fstat(fd, &before) < 0 || !S_ISREG(before.st_mode))
		return false;
	ssize_t started = pread(fd, start, sizeof(start), 0);
	if (started < 0)
		return false;
	put_key(text, &before);
	bool is_clean = elf_read(&elf, fd, (uint64_t)before.st_size, start, (uint64_t)started) &&
			put_elf(text, &elf);
	elf_free(&elf);
	return is_clean && fstat(fd, &after) == 0 && is_same(&before, &after);
}

void tell_facts(struct worker *worker, const struct operation *operation)
{
	static _Thread_local struct wanted wanted;
	const char *path = (const char *)operation->content, *end = path + operation->content_length;

	if (!take_wanted(&wanted, (const char *)operation->names, (const char *)operation->names + operation->names_length))
		return;
	for (; path < end; path += strlen(path) + 1) {
		int fd = open_source(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		struct text text = { .bytes = (char *)worker->buffer, .size = sizeof(worker->buffer), .wanted = &wanted };
		if (put_file(&text, fd))
			reply_data(worker, worker->buffer, text.length);
		close(fd);
	}
}
