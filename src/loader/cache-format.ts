/** Numbers of the formats of ld.so.cache (glibc sysdeps/generic/dl-cache.h); sizes in bytes. */

/** The format of glibc 2.2 and later. */
export const NEW = { MAGIC: 'glibc-ld.so.cache1.1', HEADER_SIZE: 48, ENTRY_SIZE: 24 } as const;

/** The older format, which `ldconfig -c compat` writes before the new one. */
export const OLD = { MAGIC: 'ld.so-1.7.0\0', HEADER_SIZE: 16, ENTRY_SIZE: 12 } as const;

/** The mark of the byte order in the header's flags (cache_file_new_flags); older caches leave it 0. */
export const ENDIAN_FLAG = { little: 2, big: 3 } as const;

/** The extension of glibc 2.33 (struct cache_extension). */
export const EXTENSION = {
  MAGIC: 0xeaa42174,
  HEADER_SIZE: 8,
  SECTION_SIZE: 16,
  TAG_HWCAPS: 1,
} as const;

/** The upper half of an entry's hwcap field that makes the lower half an index of a hwcaps name. */
export const HWCAP_EXTENSION = 0x40000000;
/** The adjacent bits that may hold the ISA level (DL_CACHE_HWCAP_ISA_LEVEL_MASK). */
export const ISA_LEVEL = 0x3ff;
/** The upper half of the hwcap field for a file in a subdirectory tls (_DL_HWCAP_TLS_MASK). */
export const TLS_HWCAP = 0x80000000;
