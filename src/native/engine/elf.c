#define _GNU_SOURCE
#include "elf.h"
#include "engine.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Numbers from here on are left to src/elf; sums of two stay exact in JavaScript. */
#define MAX_NUMBER (1ULL << 52)
/* The same limits as in src/elf, or lower ones. */
#define MAX_PART (16U << 20)
/* Parts are read in windows of at least this size. */
#define WINDOW (4U << 10)
#define MAX_DYNAMIC (1U << 16)
#define MAX_PATH 4096
#define MAX_NAME 4096
/* The smallest page size, as in src/elf/dynamic.ts. */
#define PAGE 4096ULL

uint16_t elf_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t elf_u32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t elf_u64(const uint8_t *at)
{
	return elf_u32(at) | (uint64_t)elf_u32(at + 4) << 32;
}

const uint8_t *elf_bytes(struct elf *elf, uint64_t offset, uint64_t length)
{
	if (offset > elf->size || length > elf->size - offset || length > MAX_PART)
		return NULL;
	if (offset <= elf->started && length <= elf->started - offset)
		return elf->start + offset;
	for (size_t i = 0; i < elf->part_count; i++) {
		const struct part *part = &elf->parts[i];
		if (offset >= part->offset && offset - part->offset <= part->length &&
		    length <= part->length - (offset - part->offset))
			return part->bytes + (offset - part->offset);
	}
	if (elf->part_count == MAX_PARTS)
		return NULL;
	/* What is adjacent is needed soon. */
	uint64_t left = elf->size - offset, wide = length < WINDOW ? WINDOW : length;
	struct part *part = &elf->parts[elf->part_count];
	part->offset = offset;
	part->length = wide < left ? wide : left;
	part->bytes = malloc(part->length + 1);
	if (part->bytes == NULL)
		return NULL;
	elf->part_count++;
	ssize_t count = read_up_to(elf->fd, part->bytes, part->length, (off_t)offset);
	return count == (ssize_t)part->length ? part->bytes : NULL;
}

bool elf_offset(const struct elf *elf, uint64_t address, uint64_t *offset)
{
	bool is_found = false;

	if (address >= MAX_NUMBER)
		return false;
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *segment = &elf->segments[i];
		if (segment->type != PT_LOAD || segment->filesz == 0)
			continue;
		uint64_t start = segment->vaddr - segment->vaddr % PAGE;
		uint64_t end = segment->vaddr + segment->filesz;
		uint64_t mapped = segment->memsz > segment->filesz ? end : (end + PAGE - 1) / PAGE * PAGE;
		if (address < start || address >= mapped)
			continue;
		/* Before the segment's first byte, in its first page. */
		if (address < segment->vaddr && segment->vaddr - address > segment->offset)
			continue;
		*offset = segment->offset + address - segment->vaddr;
		is_found = true;
	}
	return is_found;
}

/* Returns whether a string ends within so many bytes, and JSON needs no escapes for it. */
static bool is_plain(const char *text, size_t room)
{
	for (size_t i = 0; i < room && i < MAX_NAME; i++) {
		if (text[i] == '\0')
			return true;
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return false;
	}
	return false;
}

const char *elf_name(const struct elf *elf, uint64_t offset)
{
	if (offset >= elf->strings_size)
		return NULL;
	const char *name = elf->strings + offset;
	return is_plain(name, elf->strings_size - offset) ? name : NULL;
}

static bool read_segments(struct elf *elf)
{
	uint64_t table = elf_u64(elf->start + offsetof(Elf64_Ehdr, e_phoff));
	uint16_t size = elf_u16(elf->start + offsetof(Elf64_Ehdr, e_phentsize));
	uint16_t count = elf_u16(elf->start + offsetof(Elf64_Ehdr, e_phnum));

	if (count > MAX_SEGMENTS || (count > 0 && size != sizeof(Elf64_Phdr)))
		return false;
	const uint8_t *at = elf_bytes(elf, table, (uint64_t)count * sizeof(Elf64_Phdr));
	if (at == NULL)
		return false;
	for (size_t i = 0; i < count; i++, at += sizeof(Elf64_Phdr)) {
		struct segment *segment = &elf->segments[elf->segment_count];
		segment->type = elf_u32(at + offsetof(Elf64_Phdr, p_type));
		if (segment->type < PT_LOAD || segment->type > PT_NOTE)
			continue;
		segment->is_executable = elf_u32(at + offsetof(Elf64_Phdr, p_flags)) & PF_X;
		segment->offset = elf_u64(at + offsetof(Elf64_Phdr, p_offset));
		segment->vaddr = elf_u64(at + offsetof(Elf64_Phdr, p_vaddr));
		segment->filesz = elf_u64(at + offsetof(Elf64_Phdr, p_filesz));
		segment->memsz = elf_u64(at + offsetof(Elf64_Phdr, p_memsz));
		if (segment->offset >= MAX_NUMBER || segment->vaddr >= MAX_NUMBER ||
		    segment->filesz >= MAX_NUMBER || segment->memsz >= MAX_NUMBER)
			return false;
		if (segment->type == PT_DYNAMIC && elf->dynamic == NULL)
			elf->dynamic = segment;
		elf->segment_count++;
	}
	return true;
}

static bool read_interpreter(struct elf *elf)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *segment = &elf->segments[i];
		if (segment->type != PT_INTERP)
			continue;
		if (segment->filesz < 2 || segment->filesz > MAX_PATH)
			return false;
		const char *path = (const char *)elf_bytes(elf, segment->offset, segment->filesz);
		if (path == NULL || path[segment->filesz - 1] != '\0' || *path == '\0')
			return false;
		elf->interpreter = path;
		return is_plain(path, segment->filesz);
	}
	return true;
}

/* Returns the place of a tag, TAGS for one that does not matter, and -1 for one that is left to src/elf. */
static int place_of(uint64_t tag)
{
	switch (tag) {
	case DT_HASH:
		return TAG_HASH;
	case DT_STRTAB:
		return TAG_STRTAB;
	case DT_SYMTAB:
		return TAG_SYMTAB;
	case DT_STRSZ:
		return TAG_STRSZ;
	case DT_SONAME:
		return TAG_SONAME;
	case DT_RPATH:
		return TAG_RPATH;
	case DT_RUNPATH:
		return TAG_RUNPATH;
	case 36: /* DT_RELR, which older headers lack */
		return TAG_RELR;
	case DT_GNU_HASH:
		return TAG_GNU_HASH;
	case DT_VERSYM:
		return TAG_VERSYM;
	case DT_FLAGS_1:
		return TAG_FLAGS_1;
	case DT_VERDEF:
		return TAG_VERDEF;
	case DT_VERNEED:
		return TAG_VERNEED;
	case DT_AUDIT:
	case DT_DEPAUDIT:
	case DT_AUXILIARY:
	case DT_FILTER:
		return -1;
	default:
		return TAGS;
	}
}

static bool read_dynamic(struct elf *elf)
{
	uint64_t offset, length = elf->dynamic->filesz;

	if (length > MAX_DYNAMIC || !elf_offset(elf, elf->dynamic->vaddr, &offset))
		return false;
	const uint8_t *at = elf_bytes(elf, offset, length);
	if (at == NULL)
		return false;
	for (; length >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn), length -= sizeof(Elf64_Dyn)) {
		uint64_t tag = elf_u64(at), value = elf_u64(at + 8);
		if (tag == DT_NULL)
			break;
		if (tag == DT_NEEDED) {
			if (elf->needed_count == MAX_NEEDED)
				return false;
			elf->needed[elf->needed_count++] = value;
			continue;
		}
		int place = place_of(tag);
		if (place < 0 || (place < TAGS && value >= MAX_NUMBER))
			return false;
		/* Each of these names must be right, although only the last counts. */
		bool is_name = place == TAG_SONAME || place == TAG_RPATH || place == TAG_RUNPATH;
		if (is_name && elf->has_tag[place])
			return false;
		if (place < TAGS) {
			elf->has_tag[place] = true;
			elf->tags[place] = value;
		}
	}
	return true;
}

static bool read_strings(struct elf *elf)
{
	uint64_t offset, size = elf->tags[TAG_STRSZ];

	if (!elf->has_tag[TAG_STRTAB] || !elf->has_tag[TAG_STRSZ] || size == 0 ||
	    !elf_offset(elf, elf->tags[TAG_STRTAB], &offset))
		return false;
	elf->strings = (const char *)elf_bytes(elf, offset, size);
	elf->strings_size = size;
	return elf->strings != NULL && elf->strings[size - 1] == '\0';
}

bool elf_read(struct elf *elf, int fd, uint64_t size, const uint8_t *start, uint64_t started)
{
	memset(elf, 0, sizeof(*elf));
	elf->fd = fd;
	elf->size = size;
	elf->start = start;
	elf->started = started;
	if (size < sizeof(Elf64_Ehdr) || started < sizeof(Elf64_Ehdr) || size >= MAX_NUMBER ||
	    memcmp(start, ELFMAG, SELFMAG) != 0 || start[EI_CLASS] != ELFCLASS64 ||
	    start[EI_DATA] != ELFDATA2LSB)
		return false;
	if (!read_segments(elf) || !read_interpreter(elf))
		return false;
	return elf->dynamic == NULL || (read_dynamic(elf) && read_strings(elf));
}

void elf_free(struct elf *elf)
{
	for (size_t i = 0; i < elf->part_count; i++)
		free(elf->parts[i].bytes);
	elf->part_count = 0;
}
