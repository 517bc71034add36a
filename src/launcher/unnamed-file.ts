import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, readlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { toBytes } from '../fs/path-bytes.js';

/** open(2); Node has no name for it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** A file without a name: the kernel removes it when this process ends, even by SIGKILL. */
export class UnnamedFile {
  readonly #fd: number;

  /** @param directory on whose file system the content is kept */
  constructor(directory: string) {
    this.#fd = openUnnamed(directory);
  }

  /** The path by which other processes of this user open the file while this process runs. */
  get path(): string {
    // A mounted /proc may be of another PID namespace, where this process has another number.
    return path.join('/proc', readlinkSync('/proc/self'), 'fd', String(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function openUnnamed(directory: string): number {
  try {
    return openSync(toBytes(directory), O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    // Not every file system can make files without a name.
    const file = toBytes(path.join(directory, `jailbuild-${randomUUID()}`));
    const fd = openSync(file, 'wx+', 0o600);
    unlinkSync(file);
    return fd;
  }
}
