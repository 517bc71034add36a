#define _GNU_SOURCE
#include "elf.h"

#include <elf.h>

/* More records than the versions of any library have. */
#define MAX_RECORDS 4096
#define MAX_SYMBOLS (1U << 19)

/* Its hash tables have words of eight bytes (glibc, Elf_Symndx). */
#ifndef EM_ALPHA
#define EM_ALPHA 0x9026
#endif

static bool is_executable(const struct elf *elf)
{
	return elf_u16(elf->start + offsetof(Elf64_Ehdr, e_type)) == ET_EXEC || elf->interpreter != NULL;
}

/* Returns the number of symbols by the end of the last chain of DT_GNU_HASH. */
static bool count_hashed(struct elf *elf, uint64_t at, uint64_t *count)
{
	const uint8_t *head = elf_bytes(elf, at, 16);

	if (head == NULL)
		return false;
	uint32_t bucket_count = elf_u32(head), first = elf_u32(head + 4), words = elf_u32(head + 8);
	uint64_t buckets = at + 16 + (uint64_t)words * 8;
	uint64_t chains = buckets + (uint64_t)bucket_count * 4;
	const uint8_t *table = elf_bytes(elf, buckets, (uint64_t)bucket_count * 4);
	if (table == NULL)
		return false;
	uint32_t last = 0;
	for (uint32_t i = 0; i < bucket_count; i++) {
		uint32_t value = elf_u32(table + (size_t)i * 4);
		if (value > last)
			last = value;
	}
	if (last < first) {
		*count = first;
		return true;
	}
	for (uint64_t length = 256;; length *= 4) {
		uint64_t from = chains + (uint64_t)(last - first) * 4;
		if (from > elf->size)
			return false;
		uint64_t left = (elf->size - from) / 4;
		const uint8_t *part = elf_bytes(elf, from, (length < left ? length : left) * 4);
		if (part == NULL)
			return false;
		for (uint64_t i = 0; i < length && i < left; i++) {
			if ((elf_u32(part + i * 4) & 1) == 0)
				continue;
			*count = last + i + 1;
			return true;
		}
		if (length >= left)
			return false;
	}
}

/* Returns a number of leading symbols that include all undefined ones: undefinedBelow in src/elf/imports.ts. */
static bool count_symbols(struct elf *elf, uint64_t *count)
{
	uint64_t at;
	const uint8_t *head;

	if (elf->has_tag[TAG_GNU_HASH] && !is_executable(elf)) {
		if (!elf_offset(elf, elf->tags[TAG_GNU_HASH], &at) || (head = elf_bytes(elf, at, 16)) == NULL)
			return false;
		*count = elf_u32(head + 4);
		return true;
	}
	if (elf->has_tag[TAG_HASH]) {
		uint16_t machine = elf_u16(elf->start + offsetof(Elf64_Ehdr, e_machine));
		if (machine == EM_S390 || machine == EM_ALPHA || !elf_offset(elf, elf->tags[TAG_HASH], &at) ||
		    (head = elf_bytes(elf, at, 8)) == NULL)
			return false;
		*count = elf_u32(head + 4);
		return true;
	}
	return elf_offset(elf, elf->tags[TAG_GNU_HASH], &at) && count_hashed(elf, at, count);
}

bool elf_imports(struct elf *elf, on_name tell, void *to)
{
	uint64_t count, at;

	if (!elf->has_tag[TAG_SYMTAB] || (!elf->has_tag[TAG_HASH] && !elf->has_tag[TAG_GNU_HASH]))
		return true;
	if (!count_symbols(elf, &count) || count > MAX_SYMBOLS ||
	    !elf_offset(elf, elf->tags[TAG_SYMTAB], &at))
		return false;
	const uint8_t *symbols = elf_bytes(elf, at, count * sizeof(Elf64_Sym));
	if (symbols == NULL)
		return false;
	/* The first entry is reserved. */
	for (uint64_t i = 1; i < count; i++) {
		const uint8_t *symbol = symbols + i * sizeof(Elf64_Sym);
		uint32_t name = elf_u32(symbol);
		if (elf_u16(symbol + offsetof(Elf64_Sym, st_shndx)) != SHN_UNDEF ||
		    name >= elf->strings_size)
			continue;
		if (!tell(to, elf->strings + name))
			return false;
	}
	return true;
}

bool elf_needed_versions(struct elf *elf, on_need tell, void *to)
{
	uint64_t at;
	int left = MAX_RECORDS;

	if (!elf->has_tag[TAG_VERNEED])
		return true;
	if (!elf_offset(elf, elf->tags[TAG_VERNEED], &at))
		return false;
	for (uint32_t next = 0;; at += next) {
		const uint8_t *need = elf_bytes(elf, at, sizeof(Elf64_Verneed));
		if (need == NULL || elf_u16(need) != 1 || --left < 0)
			return false;
		const char *file = elf_name(elf, elf_u32(need + offsetof(Elf64_Verneed, vn_file)));
		uint64_t one = at + elf_u32(need + offsetof(Elf64_Verneed, vn_aux));
		next = elf_u32(need + offsetof(Elf64_Verneed, vn_next));
		for (uint32_t step = 0;; one += step) {
			const uint8_t *aux = elf_bytes(elf, one, sizeof(Elf64_Vernaux));
			if (aux == NULL || --left < 0)
				return false;
			bool is_weak = elf_u16(aux + offsetof(Elf64_Vernaux, vna_flags)) & VER_FLG_WEAK;
			const char *version = elf_name(elf, elf_u32(aux + offsetof(Elf64_Vernaux, vna_name)));
			if (file == NULL || version == NULL || !tell(to, file, version, is_weak))
				return false;
			step = elf_u32(aux + offsetof(Elf64_Vernaux, vna_next));
			if (step == 0)
				break;
		}
		if (next == 0)
			return true;
	}
}

bool elf_defined_versions(struct elf *elf, on_name tell, void *to)
{
	uint64_t at;
	int left = MAX_RECORDS;

	if (!elf->has_tag[TAG_VERDEF])
		return true;
	if (!elf_offset(elf, elf->tags[TAG_VERDEF], &at))
		return false;
	for (uint32_t next = 0;; at += next) {
		const uint8_t *definition = elf_bytes(elf, at, sizeof(Elf64_Verdef));
		if (definition == NULL || elf_u16(definition) != 1 || --left < 0)
			return false;
		next = elf_u32(definition + offsetof(Elf64_Verdef, vd_next));
		const uint8_t *aux = elf_bytes(elf, at + elf_u32(definition + offsetof(Elf64_Verdef, vd_aux)),
					       sizeof(Elf64_Verdaux));
		const char *name = aux == NULL ? NULL : elf_name(elf, elf_u32(aux));
		if (name == NULL || !tell(to, name))
			return false;
		if (next == 0)
			return true;
	}
}
