import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { fromBytes, toBytes } from '../path-bytes.js';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

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

  /** What a name stands for, or undefined if there is none. */
  lstat(name: string): BigIntStats | undefined {
    return lstatSync(this.#at(name), { bigint: true, throwIfNoEntry: false });
  }

  readlink(name: string): string {
    return fromBytes(readlinkSync(this.#at(name), { encoding: 'buffer' }));
  }

  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #at(name: string): string | Buffer {
    return toBytes(`/proc/self/fd/${this.#fd}/${name}`);
  }
}
