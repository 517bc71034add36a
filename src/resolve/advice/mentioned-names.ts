import type { ElfFile } from '../../elf/types.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import type { ProgramStrings } from '../process/program-strings.js';
import { type Mentions, scriptMentions } from '../usage/named-paths.js';

/** The maximum size in bytes of scripts whose words are kept for the next program. */
const MAX_MENTIONED = 128 << 20;

/** The names that files mention, each file read once for all programs. */
export class MentionedNames {
  readonly #root: Sysroot;
  readonly #strings: ProgramStrings;
  /** Of scripts, by identity. */
  readonly #known = new Map<string, Mentions>();
  /** The size of the files in `#known`, in bytes. */
  #bytes = 0;

  /** @param root contains the files */
  constructor(root: Sysroot, strings: ProgramStrings) {
    this.#root = root;
    this.#strings = strings;
  }

  /**
   * Returns which names a file mentions, since files found through a prefix are named within longer
   * strings.
   *
   * @param elf undefined for a script
   */
  of(file: Trace, elf: ElfFile | undefined): Mentions {
    return elf === undefined ? this.#ofScript(file) : this.#strings.namesIn(this.#root, file, elf);
  }

  #ofScript(file: Trace): Mentions {
    const { identity, size } = file.stat;
    const known = this.#known.get(identity);
    if (known !== undefined) return known;
    const mentions = scriptMentions(this.#root, file);
    if (this.#bytes + size > MAX_MENTIONED) {
      this.#known.clear();
      this.#bytes = 0;
    }
    this.#known.set(identity, mentions);
    this.#bytes += size;
    return mentions;
  }
}
