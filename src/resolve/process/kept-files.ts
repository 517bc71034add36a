import { createHash } from 'node:crypto';
import path from 'node:path';
import type { DataStrings } from '../../elf/path-strings.js';
import { cacheDirectory } from '../../fs/cache-directory.js';
import { FileFacts, type FoundFacts } from '../../fs/file-facts.js';
import type { OpenFile } from '../../fs/file-reader.js';
import { isOneFile, programAndUser } from '../../fs/program-stamp.js';
import type { FileAttributes } from '../../fs/survey.js';
import type { Trace } from '../../fs/sysroot.js';
import { type CleanFile, fileOfText, textOfFile } from './facts-text.js';

/** The kinds of facts that only advice and packages need. */
const STRINGS = ' strings';
const ADVICE = ' advice ';
const PACKAGES = ' packages ';

/** ELF files as earlier runs have read them, which need not be opened again while they are unchanged. */
export class KeptFiles {
  readonly #facts: FileFacts;

  private constructor(facts: FileFacts) {
    this.#facts = facts;
  }

  /**
   * Opens what the caller's cache has for this version. Call it before looking at any file.
   *
   * @returns undefined if the cache could belong to another version
   */
  static open(): KeptFiles | undefined {
    if (!isOneFile()) return undefined;
    const name = programAndUser();
    const digest = createHash('sha256').update(name).digest('hex').slice(0, 32);
    return new KeptFiles(new FileFacts(path.join(cacheDirectory('facts'), digest), name));
  }

  get({ stat }: Trace): CleanFile | undefined {
    const text = this.#facts.get(stat);
    return text === undefined ? undefined : fileOfText(text);
  }

  add({ stat }: Trace, file: OpenFile, read: CleanFile): void {
    const text = textOfFile(read);
    if (text !== undefined) this.#facts.add(stat, file, text);
  }

  /** Adds a file that was read by others, and has not changed since. */
  addFound({ stat }: Trace, found: FoundFacts): void {
    this.#facts.addFound(stat, found);
  }

  /** Returns what the strings of a file name. */
  strings({ stat }: Trace): DataStrings | undefined {
    const text = this.#facts.get(stat, STRINGS);
    return text === undefined ? undefined : JSON.parse(text);
  }

  addStrings({ stat }: Trace, file: OpenFile, strings: DataStrings): void {
    this.#facts.add(stat, file, JSON.stringify(strings), STRINGS);
  }

  /**
   * Returns the advice on a program, with what it depends on.
   *
   * @param name distinguishes how the program was found, in ASCII characters
   */
  advice({ stat }: Trace, name: string): string | undefined {
    return this.#facts.get(stat, ADVICE + name);
  }

  /** Adds advice, or replaces it; `name` as for {@link advice}. */
  addAdvice({ stat }: Trace, name: string, advice: string): void {
    this.#facts.replace(stat, advice, ADVICE + name);
  }

  /**
   * Returns what packages bring to a request whose first program this is.
   *
   * @param name distinguishes the request, in ASCII characters
   */
  packages({ stat }: Trace, name: string): string | undefined {
    return this.#facts.get(stat, PACKAGES + name);
  }

  /** Adds what packages bring, or replaces it; `name` as for {@link packages}. */
  addPackages({ stat }: Trace, name: string, text: string): void {
    this.#facts.replace(stat, text, PACKAGES + name);
  }

  /** Returns whether a file cannot have changed since it was inspected without another time. */
  isSettled(stat: FileAttributes): boolean {
    return this.#facts.isSettled(stat);
  }

  /** Stores what was added. */
  save(): void {
    this.#facts.save();
  }
}
