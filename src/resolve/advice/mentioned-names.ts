import type { ElfFile } from '../../elf/types.js';
import type { Sysroot, Trace } from '../../fs/sysroot.js';
import { type Mentions, mentionsOf, scriptMentions } from '../packages/named-paths.js';

/** The maximum size in bytes of files whose strings are kept for the next program. */
const MAX_MENTIONED = 128 << 20;

/** The names that files mention, each file read once for all programs. */
export class MentionedNames {
  readonly #root: Sysroot;
  readonly #known = new Map<string, Mentions>();
  /** The size of the files in `#known`, in bytes. */
  #bytes = 0;

  /** @param root contains the files */
  constructor(root: Sysroot) {
    this.#root = root;
  }

  /**
   * Returns which names a file mentions, since files found through a prefix are named within longer
   * strings.
   *
   * @param elf undefined for a script
   */
  of(file: Trace, elf: ElfFile | undefined): Mentions {
    const { identity, size } = file.stat;
    const known = this.#known.get(identity);
    if (known !== undefined) return known;
    const mentions =
      elf === undefined ? scriptMentions(this.#root, file) : mentionsOf(this.#root, file, elf);
    // The entries hold what was read of the files. Programs of one package usually follow each
    // other.
    if (this.#bytes + size > MAX_MENTIONED) {
      this.#known.clear();
      this.#bytes = 0;
    }
    this.#known.set(identity, mentions);
    this.#bytes += size;
    return mentions;
  }
}
