#define _GNU_SOURCE
#include "elf.h"

#include <elf.h>

#define MAX_NOTES (1U << 20)
#define MAX_SECTIONS 4096
/* systemd's "ELF dlopen metadata". */
#define DLOPEN_METADATA 0x407c0c0aU

/* Rounds up to words of four bytes. */
static uint64_t align(uint64_t size)
{
	return (size + 3) / 4 * 4;
}

static bool are_plain(struct elf *elf, uint64_t offset, uint64_t size)
{
	const uint8_t *notes = size > MAX_NOTES ? NULL : elf_bytes(elf, offset, size);

	if (notes == NULL)
		return false;
	for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= size;) {
		uint64_t description = at + sizeof(Elf64_Nhdr) + align(elf_u32(notes + at));
		uint64_t end = description + elf_u32(notes + at + 4);
		if (end > size || elf_u32(notes + at + 8) == DLOPEN_METADATA)
			return false;
		at = align(end);
	}
	return true;
}

static bool is_in_segment(const struct elf *elf, uint64_t offset, uint64_t size)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *segment = &elf->segments[i];
		if (segment->type == PT_NOTE && segment->offset <= offset &&
		    offset + size <= segment->offset + segment->filesz)
			return true;
	}
	return false;
}

/* Malformed section headers count as none. */
static bool are_sections_plain(struct elf *elf)
{
	uint64_t table = elf_u64(elf->start + offsetof(Elf64_Ehdr, e_shoff));
	uint16_t count = elf_u16(elf->start + offsetof(Elf64_Ehdr, e_shnum));

	if (table == 0 || elf_u16(elf->start + offsetof(Elf64_Ehdr, e_shentsize)) != sizeof(Elf64_Shdr))
		return true;
	/* Counts may be elsewhere. */
	if (count == 0 || count > MAX_SECTIONS ||
	    elf_u16(elf->start + offsetof(Elf64_Ehdr, e_shstrndx)) == SHN_XINDEX)
		return false;
	uint64_t length = (uint64_t)count * sizeof(Elf64_Shdr);
	if (table > elf->size || length > elf->size - table)
		return true;
	const uint8_t *at = elf_bytes(elf, table, length);
	if (at == NULL)
		return false;
	for (size_t i = 0; i < count; i++, at += sizeof(Elf64_Shdr)) {
		if (elf_u32(at + offsetof(Elf64_Shdr, sh_type)) != SHT_NOTE)
			continue;
		uint64_t offset = elf_u64(at + offsetof(Elf64_Shdr, sh_offset));
		uint64_t size = elf_u64(at + offsetof(Elf64_Shdr, sh_size));
		if (offset > elf->size || size > elf->size - offset)
			continue;
		if (!is_in_segment(elf, offset, size) && !are_plain(elf, offset, size))
			return false;
	}
	return true;
}

bool elf_has_plain_notes(struct elf *elf)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct segment *segment = &elf->segments[i];
		if (segment->type == PT_NOTE && !are_plain(elf, segment->offset, segment->filesz))
			return false;
	}
	return are_sections_plain(elf);
}
