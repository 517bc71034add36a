import { closeSync, constants, mkdtempSync, openSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ownTemporaryDirectory } from './own-environment.js';
import { fromBytes, toBytes } from './path-bytes.js';
import { writeFailed } from './write-failed.js';

/** A private directory for data of this process and of the programs it starts. */
export interface TemporaryDirectory {
  /** UTF-8 text, as libraries and programs may require. */
  readonly path: string;
  /** Removes it with all its content. */
  remove(): void;
}

/**
 * Makes a private directory whose name begins with a prefix.
 *
 * @param parent by default, the directory for temporary files
 * @throws JailbuildError WRITE_FAILED
 */
export function makeTemporaryDirectory(prefix: string, parent?: string): TemporaryDirectory {
  const directory = makeDirectoryIn(parent ?? ownTemporaryDirectory(), prefix);
  const remove = () => rmSync(toBytes(directory), { recursive: true, force: true });
  if (directory.isWellFormed()) return { path: directory, remove };
  // An open descriptor has a path of text, which leads programs of this user to the same directory.
  const fd = openSync(toBytes(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    // A mounted /proc may be of another PID namespace, where this process has another number.
    path: path.join('/proc', readlinkSync('/proc/self'), 'fd', String(fd)),
    remove: () => {
      remove();
      closeSync(fd);
    },
  };
}

/**
 * Makes a private directory and returns its path, which may have bytes that are not UTF-8.
 *
 * @throws JailbuildError WRITE_FAILED
 */
export function makeDirectoryIn(parent: string, prefix: string): string {
  const start = path.join(parent, prefix);
  try {
    // Node decodes the result unless it is to be bytes.
    return fromBytes(mkdtempSync(toBytes(start) as string, 'buffer'));
  } catch (error) {
    throw writeFailed(parent, error);
  }
}
