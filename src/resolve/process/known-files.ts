import type { ElfFile } from '../../elf/types.js';
import { type FoundFacts, keyOf, type ReadFacts } from '../../fs/file-facts.js';
import type { OpenFile } from '../../fs/file-reader.js';
import type { Trace } from '../../fs/sysroot.js';
import { type CleanFile, fileOfText } from './facts-text.js';
import type { KeptFiles } from './kept-files.js';
import { WATCHED } from './runtime-facts.js';

/** A file that was read together with others. */
interface Ahead {
  readonly file: CleanFile;
  /** Absent for a file that an earlier run has read. */
  readonly found?: FoundFacts;
}

/**
 * Returns the files that the loader probably finds for the names that a file needs. A wrong one costs time only, since
 * what is read of it is found by its identity.
 */
export type Locate = (elf: ElfFile) => Iterable<Trace>;

/** ELF files that need not be opened: read by an earlier run, or by native code before they are needed. */
export class KnownFiles {
  readonly #kept: KeptFiles | undefined;
  readonly #readFacts: ReadFacts | undefined;
  readonly #ahead = new Map<string, Ahead>();

  constructor(kept: KeptFiles | undefined, readFacts: ReadFacts | undefined) {
    this.#kept = kept;
    this.#readFacts = readFacts;
  }

  /** Returns what was read of a file that is unchanged since. */
  get(trace: Trace): CleanFile | undefined {
    const ahead = this.#aheadOf(trace);
    if (ahead?.found !== undefined) this.#kept?.addFound(trace, ahead.found);
    return ahead?.file ?? this.#kept?.get(trace);
  }

  /** Adds a file that this run has read. */
  add(trace: Trace, file: OpenFile, read: CleanFile): void {
    this.#kept?.add(trace, file, read);
  }

  /** Has native code read files that are not known yet, and what these need in turn. */
  readAhead(files: readonly Trace[], locate: Locate): void {
    if (this.#readFacts === undefined) return;
    const seen = new Set<string>();
    for (let level = files; level.length > 0; ) {
      const paths: string[] = [];
      for (const trace of level) {
        if (trace.stat.type !== 'file' || seen.has(trace.path)) continue;
        seen.add(trace.path);
        if (!this.#recall(trace)) paths.push(trace.path);
      }
      if (paths.length === 0) return;
      const next: Trace[] = [];
      for (const found of this.#readFacts(paths, WATCHED.all)) {
        const file = fileOfText(found.text);
        this.#ahead.set(found.key, { file, found });
        next.push(...locate(file.elf));
      }
      level = next;
    }
  }

  /** Returns whether an earlier run has read a file. */
  #recall(trace: Trace): boolean {
    const file = this.#kept?.get(trace);
    const key = keyOf(trace.stat);
    if (file === undefined || key === undefined) return false;
    this.#ahead.set(key, { file });
    return true;
  }

  #aheadOf({ stat }: Trace): Ahead | undefined {
    if (this.#ahead.size === 0) return undefined;
    const key = keyOf(stat);
    return key === undefined ? undefined : this.#ahead.get(key);
  }
}
