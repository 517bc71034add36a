import type { ElfFile } from '../elf/types.js';
import type { Trace } from '../fs/sysroot.js';
import type { SearchRule } from '../manifest/manifest.js';
import type { Alternative } from './cpu.js';

/** A file that a search found. */
export interface Candidate {
  /** The path as the loader would open it. */
  readonly name: string;
  readonly trace: Trace;
  readonly elf: ElfFile;
}

export interface Found extends Candidate {
  readonly rule: SearchRule;
  /** The subdirectory that contains it, if it is for certain processors, such as x86-64-v3. */
  readonly level: string | undefined;
  /** CPU features for which a different file would be chosen. */
  readonly alternatives: readonly Alternative[];
}

export interface NotFound {
  /** Each place searched, in order: files, and the cache itself. */
  readonly searched: readonly { readonly rule: SearchRule; readonly path: string }[];
  /** The file that a cache names which the jail will not have. */
  readonly cachedAt?: string;
  /** A file that only another processor finds. */
  readonly variantAt?: string;
  /** The file in a directory of /etc/ld.so.conf that the cache does not list. */
  readonly configuredAt?: string;
  /** CPU features for which a different file would be chosen. */
  readonly alternatives?: readonly Alternative[];
}

export function isFound(result: Found | NotFound): result is Found {
  return 'trace' in result;
}
