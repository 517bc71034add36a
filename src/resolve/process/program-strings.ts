import { type DataStrings, dataStrings } from '../../elf/path-strings.js';
import type { ElfFile } from '../../elf/types.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import type { KeptFiles } from './kept-files.js';

/** The maximum number of bytes read of a program. */
const MAX_READ = 64 << 20;

/** What the strings of programs and libraries name, each file read once. */
export class ProgramStrings {
  readonly #kept: KeptFiles | undefined;
  readonly #known = new Map<string, DataStrings>();

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
