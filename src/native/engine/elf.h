/*
 * What the loader rules need of an ELF file, read as src/elf does, for files without any peculiarity: little-endian, 64-bit,
 * well-formed, with printable ASCII names. Any other file is left to src/elf, which alone says what is wrong with it.
 */
#ifndef ELF_FACTS_H
#define ELF_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Size of the part of a file that is read first, which usually has all that is needed but the dynamic section. */
#define ELF_START (16 << 10)
/* Real files have about a dozen segments and about forty entries and names. */
enum { MAX_SEGMENTS = 64, MAX_NEEDED = 512, MAX_PARTS = 16 };

/* Tags of the dynamic section, with their places in `elf.tags`. */
enum elf_tag {
	TAG_HASH,
	TAG_STRTAB,
	TAG_SYMTAB,
	TAG_STRSZ,
	TAG_SONAME,
	TAG_RPATH,
	TAG_RUNPATH,
	TAG_RELR,
	TAG_GNU_HASH,
	TAG_VERSYM,
	TAG_FLAGS_1,
	TAG_VERDEF,
	TAG_VERNEED,
	TAGS,
};

struct segment {
	uint32_t type;
	bool is_executable;
	uint64_t offset, vaddr, filesz, memsz;
};

/* A further part that was read. */
struct part {
	uint64_t offset, length;
	uint8_t *bytes;
};

struct elf {
	int fd;
	uint64_t size;
	const uint8_t *start;
	uint64_t started;
	struct part parts[MAX_PARTS];
	size_t part_count;
	struct segment segments[MAX_SEGMENTS];
	size_t segment_count;
	const struct segment *dynamic;
	/* NULL without PT_INTERP. */
	const char *interpreter;
	bool has_tag[TAGS];
	uint64_t tags[TAGS];
	uint64_t needed[MAX_NEEDED];
	size_t needed_count;
	/* The dynamic string table, which ends with a NUL; empty if there is none. */
	const char *strings;
	uint64_t strings_size;
};

typedef bool (*on_need)(void *to, const char *file, const char *version, bool is_weak);
typedef bool (*on_name)(void *to, const char *name);

/* elf.c: all return false for a file that is left to src/elf. */
/* Reads headers and dynamic section; `start` has the first bytes, at most ELF_START. */
bool elf_read(struct elf *elf, int fd, uint64_t size, const uint8_t *start, uint64_t started);
void elf_free(struct elf *elf);
/* Returns bytes of the file, NULL if it does not have them all. */
const uint8_t *elf_bytes(struct elf *elf, uint64_t offset, uint64_t length);
/* Returns the file offset of an address. */
bool elf_offset(const struct elf *elf, uint64_t address, uint64_t *offset);
/* Returns a name of the string table, NULL if it is beyond its end, not printable, or would need quoting in JSON. */
const char *elf_name(const struct elf *elf, uint64_t offset);
uint16_t elf_u16(const uint8_t *at);
uint32_t elf_u32(const uint8_t *at);
uint64_t elf_u64(const uint8_t *at);

/* elf_symbols.c */
bool elf_imports(struct elf *elf, on_name tell, void *to);
bool elf_needed_versions(struct elf *elf, on_need tell, void *to);
bool elf_defined_versions(struct elf *elf, on_name tell, void *to);

/* elf_notes.c: returns true if all notes are well-formed and none names libraries */
bool elf_has_plain_notes(struct elf *elf);

#endif
