import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { errnoOf } from '../errors.js';
import { fromBytes, toBytes } from './path-bytes.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * A directory that is held open, so that its names are looked up in it and nowhere else, whatever
 * becomes of its path meanwhile: openat(2) by way of /proc/self/fd (proc(5)), for Node has no other.
 * Symbolic links are never followed. All methods throw the system's errors.
 */
export class HeldDirectory {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a directory by a path whose symbolic links are the user's own and followed. */
  static open(path: string): HeldDirectory {
    return new HeldDirectory(openSync(toBytes(path), O_RDONLY | O_DIRECTORY));
  }

  /** Opens a directory in this one. ENOTDIR or ELOOP if it is a symbolic link. */
  directory(name: string): HeldDirectory {
    return new HeldDirectory(openSync(this.#at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  /** Opens a file in this one for reading, without waiting for the other end of a fifo. */
  file(name: string): number {
    return openSync(this.#at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  names(): string[] {
    return readdirSync(`/proc/self/fd/${this.#fd}`, { encoding: 'buffer' }).map(fromBytes).sort();
  }

  /** What a name refers to, or undefined. */
  lstat(name: string): BigIntStats | undefined {
    return lstatSync(this.#at(name), { bigint: true, throwIfNoEntry: false });
  }

  readlink(name: string): string {
    return fromBytes(readlinkSync(this.#at(name), { encoding: 'buffer' }));
  }

  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  /**
   * Gives a name to new content, for its owner alone, by a rename. What lies at `name.new` is taken for
   * the rest of such an attempt.
   */
  replaceFile(name: string, content: string | Buffer): void {
    const next = this.#at(`${name}.new`);
    const create = () => openSync(next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    let fd: number;
    try {
      fd = create();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      unlinkSync(next);
      fd = create();
    }
    try {
      writeFileSync(fd, content);
    } finally {
      closeSync(fd);
    }
    renameSync(next, this.#at(name));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #at(name: string): string | Buffer {
    return toBytes(`/proc/self/fd/${this.#fd}/${name}`);
  }
}
