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
} from 'node:fs';
import { errnoOf } from '../errors.js';
import { fromBytes, toBytes } from './path-bytes.js';
import { writeAllSync } from './write-all.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * A directory held open, so that its names are looked up in it whatever happens to its path: openat(2) through
 * /proc/self/fd (proc(5)), since Node offers no other way. Never follows symbolic links. All methods throw system
 * errors.
 */
export class HeldDirectory {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a directory by a path from the user, following its symbolic links. */
  static open(path: string): HeldDirectory {
    return new HeldDirectory(openSync(toBytes(path), O_RDONLY | O_DIRECTORY));
  }

  /** Opens a subdirectory. Throws ENOTDIR or ELOOP for a symbolic link. */
  directory(name: string): HeldDirectory {
    return new HeldDirectory(openSync(this.#at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  /** Opens a file in this directory for reading, without waiting for the other end of a fifo. */
  file(name: string): number {
    return openSync(this.#at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  names(): string[] {
    return readdirSync(`/proc/self/fd/${this.#fd}`, { encoding: 'buffer' }).map(fromBytes).sort();
  }

  /** Returns the attributes of a name, or undefined if it does not exist. */
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
   * Replaces a file by a rename, readable by its owner alone; `content` is in parts. Overwrites `name.new`, the remains
   * of an interrupted attempt.
   */
  replaceFile(name: string, content: Iterable<Uint8Array>): void {
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
      for (const part of content) writeAllSync(fd, part);
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
