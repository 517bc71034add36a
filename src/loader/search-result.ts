import type { ElfFile } from '../elf/types.js';
import type { Trace } from '../fs/sysroot.js';
import type { SearchRule } from '../manifest/manifest.js';
import type { Alternative } from './cpu.js';

/** A file that the search found. */
export interface Candidate {
  /** The path as the loader would open it. */
  readonly name: string;
  readonly trace: Trace;
  readonly elf: ElfFile;
}

export interface Found extends Candidate {
  readonly rule: SearchRule;
  /** The subdirectory for a kind of processor that it is in, as x86-64-v3; undefined for none. */
  readonly level: string | undefined;
  /** In what respects another processor would find another file. */
  readonly alternatives: readonly Alternative[];
}

export interface NotFound {
  /** Each place that was looked at, in order: files, and the cache itself. */
  readonly searched: readonly { readonly rule: SearchRule; readonly path: string }[];
  /** Where a cache would lead that the search was told to do without. */
  readonly cachedAt?: string;
  /** Where only another processor finds a file. */
  readonly variantAt?: string;
  /** Where /etc/ld.so.conf leads, whose directories the cache does not have. */
  readonly configuredAt?: string;
  /** In what respects another processor would find a file. */
  readonly alternatives?: readonly Alternative[];
}

export function isFound(result: Found | NotFound): result is Found {
  return 'trace' in result;
}
