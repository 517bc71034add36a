import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:net';
import path from 'node:path';
import { errnoOf } from '../../errors.js';
import { HeldTree } from '../../fs/held-tree.js';
import { toBytes } from '../../fs/path-bytes.js';
import { timestamp } from '../../manifest/timestamp.js';
import { type Engine, type LazyList, OperationError, type RunOptions } from './engine.js';
import { type Attributes, NOW, type Operation } from './operations.js';

/** Number of operations after which the event loop gets a turn, for the display and signals. */
const TURN = 32;
/** Interval between attempts on a lock held by another process, in milliseconds. */
const LOCK_INTERVAL = 50;

/** Carries out operations with Node's own calls: works everywhere, but lacks what Node does not offer. */
export class NodeEngine implements Engine {
  readonly shortcoming =
    'the native writer is not built: times are rounded to a microsecond, and extended attributes, capabilities, ACLs, device nodes and fifos are omitted; make sure that nobody else changes the jail during the build';
  readonly #base: string;
  readonly #sourceRoot: string;
  readonly #sources: HeldTree;
  /** Directories verified not to be symbolic links, by path relative to the base. */
  readonly #safe = new Set<string>(['.']);
  readonly #locks: Server[] = [];

  /**
   * @param base the directory that every operation stays in
   * @param sourceRoot the directory that `source` is relative to
   */
  constructor(base: string, sourceRoot: string) {
    this.#base = base;
    this.#sourceRoot = sourceRoot;
    this.#sources = new HeldTree(sourceRoot);
  }

  async run(
    operations: readonly Operation[] | LazyList<Operation>,
    options: RunOptions = {},
  ): Promise<void> {
    for (let index = 0; index < operations.length; index++) {
      const operation = operations.at(index);
      if (operation === undefined) continue;
      if (index % TURN === TURN - 1) await new Promise<void>((resume) => setImmediate(resume));
      options.signal?.throwIfAborted();
      try {
        if (operation.op === 'lock') await this.#lock(operation, options.signal);
        else if (operation.op === 'node') {
          // Node has no mknod(2).
          options.onWarning?.(index, { attribute: 'node', errno: 'ENOTSUP' });
        } else this.#carryOut(operation);
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

  async close(): Promise<void> {
    this.#sources.close();
    for (const server of this.#locks.splice(0)) server.close();
  }

  #carryOut(operation: Exclude<Operation, { op: 'lock' | 'node' }>): void {
    switch (operation.op) {
      case 'mkdir':
        this.#makeDirectory(operation.path, operation.mayExist ?? false);
        break;
      case 'copy':
        this.#copy(operation);
        break;
      case 'write': {
        const file = this.#inside(operation.path);
        const { content } = operation;
        writeFileSync(file, Buffer.isBuffer(content) ? content : Buffer.concat(content), {
          flag: 'wx',
        });
        setAttributes(file, operation.attributes);
        break;
      }
      case 'link':
        linkSync(this.#inside(operation.to), this.#inside(operation.path));
        break;
      case 'symlink': {
        const link = this.#inside(operation.path);
        symlinkSync(toBytes(operation.target), link);
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
        const old = this.#inside(`${operation.path}.old`);
        // A directory cannot have a second hard link, so its path does not exist for a moment.
        const [inner, outer] = [from, to].map((at) => lstatSync(at).isDirectory());
        if (inner || outer) renameSync(to, old);
        else linkSync(to, old);
        renameSync(from, to);
        renameSync(old, from);
        break;
      }
      case 'replace':
        renameSync(this.#inside(operation.path), this.#inside(operation.to));
        break;
      case 'unlink':
        unlinkSync(this.#inside(operation.path));
        break;
      case 'rmdir':
        rmdirSync(this.#inside(operation.path));
        break;
      case 'remove-if-empty':
        this.#removeIfEmpty(operation.path);
        break;
      case 'remove-tree':
        rmSync(this.#inside(operation.path), { recursive: true, force: true });
        break;
      case 'empty':
        for (const name of readdirSync(this.#inside(operation.path), { encoding: 'buffer' })) {
          const prefix = Buffer.from(toBytes(`${this.#base}/${operation.path}/`));
          rmSync(Buffer.concat([prefix, name]), { recursive: true });
        }
        break;
      case 'sync':
        // Node has no syncfs(2).
        break;
      case 'sync-directory':
        this.#syncDirectory(operation.path);
        break;
    }
  }

  #makeDirectory(directory: string, mayExist: boolean): void {
    const real = this.#inside(directory);
    try {
      mkdirSync(real, 0o700);
    } catch (error) {
      const isThere = errnoOf(error) === 'EEXIST' && mayExist;
      const found = isThere ? lstatSync(real, { throwIfNoEntry: false }) : undefined;
      // Removed meanwhile by the owner of its lock.
      if (isThere && found === undefined) {
        this.#makeDirectory(directory, true);
        return;
      }
      if (!found?.isDirectory()) throw error;
    }
    this.#safe.add(directory);
  }

  #removeIfEmpty(directory: string): void {
    try {
      rmdirSync(this.#inside(directory));
    } catch (error) {
      if (errnoOf(error) !== 'ENOTEMPTY') throw error;
    }
  }

  #syncDirectory(directory: string): void {
    const fd = openSync(this.#inside(directory), 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Node has no flock(2). An abstract socket name serves as well while all builds share a network namespace: only one
   * process can bind it, and it is released when its owner dies (unix(7)).
   */
  async #lock(operation: Operation & { op: 'lock' }, signal?: AbortSignal): Promise<void> {
    const { createServer } = await import('node:net');
    for (;;) {
      this.#makeDirectory(operation.path, true);
      const real = this.#inside(operation.path);
      const found = lstatSync(real, { throwIfNoEntry: false });
      if (found === undefined) continue;
      const { dev, ino, uid, mode } = found;
      if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) {
        throw Object.assign(new Error('not ours'), { code: 'ENOTDIR' });
      }
      const server = createServer().unref();
      const held = await new Promise<boolean>((resolve, reject) => {
        server.once('listening', () => resolve(true));
        server.once('error', (error) =>
          errnoOf(error) === 'EADDRINUSE' ? resolve(false) : reject(error),
        );
        server.listen(`\0jailbuild:${dev}:${ino}`);
      });
      if (held && lstatSync(real, { throwIfNoEntry: false })?.ino === ino) {
        this.#locks.push(server);
        return;
      }
      server.close();
      if (held) continue;
      if (!operation.wait) throw Object.assign(new Error('locked'), { code: 'EAGAIN' });
      await new Promise((resume) => setTimeout(resume, LOCK_INTERVAL));
      signal?.throwIfAborted();
    }
  }

  #copy({ path: to, source, size, sourceMtime, attributes, share }: Operation & { op: 'copy' }) {
    const destination = this.#inside(to);
    const fd = this.#openSource(`/${source}`);
    try {
      const before = fstatSync(fd, { bigint: true });
      if (!before.isFile() || Number(before.size) !== size) throw new ChangedSource();
      if (timestamp(before.mtimeNs) !== sourceMtime) throw new ChangedSource();
      // Names the open file itself, whatever happens to its path.
      const from = `/proc/self/fd/${fd}`;
      if (share && this.#linked(`/${source}`, before, destination)) return;
      copyFileSync(from, destination, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      if (fstatSync(fd, { bigint: true }).ctimeNs !== before.ctimeNs) throw new ChangedSource();
    } finally {
      closeSync(fd);
    }
    setAttributes(destination, attributes);
  }

  #openSource(source: string): number {
    try {
      return this.#sources.open(source);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      throw errno === 'ELOOP' || errno === 'ENOTDIR'
        ? new ChangedSource()
        : new UnreadableSource(error);
    }
  }

  /** Node has no linkat(2) for an open file, so the identity is checked afterwards. */
  #linked(source: string, before: BigIntStats, destination: string | Buffer): boolean {
    try {
      linkSync(toBytes((this.#sourceRoot === '/' ? '' : this.#sourceRoot) + source), destination);
    } catch (error) {
      if (['EXDEV', 'EPERM', 'EMLINK'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
    const made = lstatSync(destination, { bigint: true });
    if (made.ino === before.ino && made.dev === before.dev) return true;
    unlinkSync(destination);
    throw new ChangedSource();
  }

  /** Returns the real path after verifying that no directory on the way is a symbolic link. */
  #inside(relative: string): string | Buffer {
    this.#check(path.dirname(relative));
    return toBytes(path.join(this.#base, relative));
  }

  #check(directory: string): void {
    if (this.#safe.has(directory)) return;
    this.#check(path.dirname(directory));
    if (!lstatSync(toBytes(path.join(this.#base, directory))).isDirectory()) {
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

/** Sets the owner first: chown(2) clears the set-uid and set-gid bits. */
function setAttributes(realPath: string | Buffer, { mode, owner, mtime }: Attributes): void {
  if (owner !== undefined) lchownSync(realPath, owner.uid, owner.gid);
  chmodSync(realPath, mode);
  utimesSync(realPath, seconds(mtime), seconds(mtime));
}

function seconds(mtime: string): number {
  return mtime === NOW ? Date.now() / 1000 : Number(mtime);
}
