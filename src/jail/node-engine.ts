import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../errors.js';
import { timestamp } from '../plan/timestamp.js';
import { type Engine, OperationError, type RunOptions } from './engine.js';
import type { Attributes, Operation } from './operations.js';

/** After so many operations, others may use the thread: the display, a signal to stop. */
const TURN = 32;

/** Carries out operations with Node's own calls: everywhere, but without what Node does not offer. */
export class NodeEngine implements Engine {
  readonly #base: string;
  readonly #sourceRoot: string;
  /** Directories found to be no symbolic links, by path relative to the base. */
  readonly #safe = new Set<string>(['.']);

  /**
   * @param base the directory that every operation stays in
   * @param sourceRoot what `source` is relative to
   */
  constructor(base: string, sourceRoot: string) {
    this.#base = base;
    this.#sourceRoot = sourceRoot;
  }

  async run(operations: readonly Operation[], options: RunOptions = {}): Promise<void> {
    for (const [index, operation] of operations.entries()) {
      if (index % TURN === TURN - 1) await new Promise<void>((resume) => setImmediate(resume));
      options.signal?.throwIfAborted();
      try {
        this.#carryOut(operation);
      } catch (error) {
        if (error instanceof ChangedSource) throw new OperationError(index, 'changed', '');
        const errno = errnoOf(error);
        if (errno === undefined) throw error;
        const side = error instanceof UnreadableSource ? 'source' : 'jail';
        throw new OperationError(index, side, errno);
      }
      options.onDone?.(index);
    }
  }

  #carryOut(operation: Operation): void {
    switch (operation.op) {
      case 'mkdir':
        mkdirSync(this.#inside(operation.path), 0o700);
        this.#safe.add(operation.path);
        break;
      case 'copy':
        this.#copy(operation);
        break;
      case 'write': {
        const file = this.#inside(operation.path);
        writeFileSync(file, operation.content, { flag: 'wx' });
        setAttributes(file, operation.attributes);
        break;
      }
      case 'node':
        // Node has no mknod(2).
        throw Object.assign(new Error('not supported'), { code: 'ENOTSUP' });
      case 'symlink': {
        const link = this.#inside(operation.path);
        symlinkSync(operation.target, link);
        const { owner, mtime } = operation.attributes;
        if (owner !== undefined) lchownSync(link, owner.uid, owner.gid);
        lutimesSync(link, seconds(mtime), seconds(mtime));
        break;
      }
      case 'attributes':
        setAttributes(this.#inside(operation.path), operation.attributes);
        break;
      case 'rename':
        // link(2) and mkdir(2) refuse what exists; rename(2) does not, and Node has no flag for it.
        if (lstatSync(this.#inside(operation.to), { throwIfNoEntry: false }) !== undefined) {
          throw Object.assign(new Error('exists'), { code: 'EEXIST' });
        }
        renameSync(this.#inside(operation.path), this.#inside(operation.to));
        break;
      case 'exchange': {
        const [from, to] = [this.#inside(operation.path), this.#inside(operation.to)];
        linkSync(to, `${from}.old`);
        renameSync(from, to);
        renameSync(`${from}.old`, from);
        break;
      }
      case 'unlink':
        unlinkSync(this.#inside(operation.path));
        break;
      case 'rmdir':
        rmdirSync(this.#inside(operation.path));
        break;
      case 'clear':
        rmSync(this.#inside(operation.path), { recursive: true, force: true });
        break;
    }
  }

  #copy({ path: to, source, size, sourceMtime, attributes }: Operation & { op: 'copy' }): void {
    const from = path.join(this.#sourceRoot, source);
    const destination = this.#inside(to);
    const before = this.#sourceStat(from);
    if (!before.isFile() || Number(before.size) !== size) throw new ChangedSource();
    if (timestamp(before.mtimeNs) !== sourceMtime) throw new ChangedSource();
    copyFileSync(from, destination, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const after = this.#sourceStat(from);
    if (after.ino !== before.ino || after.ctimeNs !== before.ctimeNs) throw new ChangedSource();
    setAttributes(destination, attributes);
  }

  #sourceStat(from: string) {
    try {
      return lstatSync(from, { bigint: true });
    } catch (error) {
      throw new UnreadableSource(error);
    }
  }

  /** The real path, after making sure that no directory on the way is a symbolic link. */
  #inside(relative: string): string {
    this.#check(path.dirname(relative));
    return path.join(this.#base, relative);
  }

  #check(directory: string): void {
    if (this.#safe.has(directory)) return;
    this.#check(path.dirname(directory));
    if (!lstatSync(path.join(this.#base, directory)).isDirectory()) {
      throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    }
    this.#safe.add(directory);
  }
}

class ChangedSource extends Error {}

class UnreadableSource extends Error {
  readonly code: string | undefined;

  constructor(cause: unknown) {
    super('source', { cause });
    this.code = errnoOf(cause);
  }
}

/** The owner first: chown(2) takes the set-uid and set-gid bits away. */
function setAttributes(realPath: string, { mode, owner, mtime }: Attributes): void {
  if (owner !== undefined) lchownSync(realPath, owner.uid, owner.gid);
  chmodSync(realPath, mode);
  utimesSync(realPath, seconds(mtime), seconds(mtime));
}

function seconds(mtime: string): number {
  return Number(mtime);
}
