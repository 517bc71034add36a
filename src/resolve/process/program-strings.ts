import { namesInStrings } from '../../elf/names-in-strings.js';
import { type DataStrings, dataStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import type { KeptFiles } from './kept-files.js';

/** The maximum number of bytes read of a program. */
const MAX_READ = 64 << 20;
/** The maximum size in bytes of files whose content is kept for further names. */
const MAX_SEARCHED = 128 << 20;

/** What the strings of programs and libraries name, each file read once. */
export class ProgramStrings {
  readonly #kept: KeptFiles | undefined;
  readonly #known = new Map<string, DataStrings>();
  /** By identity; they hold what was read of the files. */
  readonly #searched = new Map<string, (name: string) => boolean>();
  /** The size of these files in bytes. */
  #held = 0;

  constructor(kept: KeptFiles | undefined) {
    this.#kept = kept;
  }

  /**
   * Returns what the strings of a file name.
   *
   * @param root the root that contains the file
   * @throws JailbuildError NOT_READABLE
   */
  of(root: Sysroot, file: Trace, elf: ElfFile): DataStrings {
    const { identity } = file.stat;
    const known = this.#known.get(identity) ?? this.#kept?.strings(file);
    const strings = known ?? this.#read(root, file, elf);
    this.#known.set(identity, strings);
    return strings;
  }

  /**
   * Returns a function that returns whether a file has a name in its data: see `namesInStrings`.
   *
   * @param root the root that contains the file
   * @throws JailbuildError NOT_READABLE
   */
  namesIn(root: Sysroot, file: Trace, { headers }: ElfFile): (name: string) => boolean {
    const { identity, size } = file.stat;
    const known = this.#searched.get(identity);
    if (known !== undefined) return known;
    const reader = root.open(file);
    try {
      const names = namesInStrings(reader, headers, MAX_READ);
      // Programs of one package usually follow each other.
      if (this.#held + size > MAX_SEARCHED) {
        this.#searched.clear();
        this.#held = 0;
      }
      this.#searched.set(identity, names);
      this.#held += size;
      return names;
    } finally {
      reader.close();
    }
  }

  #read(root: Sysroot, file: Trace, { headers }: ElfFile): DataStrings {
    const reader = root.open(file);
    try {
      const strings = dataStrings(reader, headers, MAX_READ);
      this.#kept?.addStrings(file, reader, strings);
      return strings;
    } finally {
      reader.close();
    }
  }
}
