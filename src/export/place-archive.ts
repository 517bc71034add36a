import { fstatSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import type { OutputFile } from '../fs/output-file.js';
import { realPathOf } from '../fs/path-bytes.js';
import { type LazyList, OperationError } from '../jail/engine/engine.js';
import { EngineEnded, type NativeEngine } from '../jail/engine/native.js';
import { openNativeEngine } from '../jail/engine/open.js';
import type { Output, Placement } from '../jail/engine/protocol.js';
import type { Entry, FileEntry } from '../manifest/manifest.js';
import type { WorkMeter } from '../manifest/work.js';
import { changed, type FileTree, notReadable } from './file-tree.js';
import type { Part } from './parts.js';

/** The bytes of a path that the kernel takes, with the NUL (path_resolution(7)); files below are opened step by step here. */
const PATH_MAX = 4096;

/** What accompanies the writing of an archive. */
export interface PlaceOptions {
  readonly meter: WorkMeter;
  /** Called with the number of bytes written since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Has the native writer copy the content of files into an archive, which takes less processor time than reading and
 * writing here.
 *
 * @param output an empty draft
 * @param parts makes the parts of the archive
 * @returns false if nothing was written: the native writer is missing, cannot open the draft or a long path, or would
 *   not notice a source whose digest differs from its entry's
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED, NOT_EXPORTABLE, WRITE_FAILED
 * @throws the signal's reason
 */
export async function placeArchive(
  output: OutputFile,
  tree: FileTree,
  parts: () => Iterable<Part>,
  options: PlaceOptions,
): Promise<boolean> {
  if (!tree.entries.every(canBePlaced)) return false;
  return output.fill(async (fd, draft) => {
    const base = realPathOf(path.dirname(draft));
    const engine = await openNativeEngine(base, tree.sourceRoot || '/');
    if (engine === undefined) return false;
    try {
      const { dev: device, ino: inode } = fstatSync(fd, { bigint: true });
      const target = { path: path.basename(draft), device, inode };
      if (!(await canPlace(engine, target))) return false;
      await place(engine, target, new Placements(tree, parts(), options.meter), options);
      return true;
    } finally {
      await engine.close();
    }
  });
}

function canBePlaced(entry: Entry): boolean {
  if (entry.type !== 'file') return true;
  return entry.digest === undefined && Buffer.byteLength(entry.source ?? '') < PATH_MAX;
}

/** Returns whether the writer can open the draft: one that replaces a file has that file's mode, perhaps without write permission. */
async function canPlace(engine: NativeEngine, target: Output): Promise<boolean> {
  try {
    await engine.place(target, [{ offset: 0, bytes: Buffer.alloc(0) }]);
    return true;
  } catch (error) {
    if (error instanceof OperationError) return false;
    throw error;
  }
}

async function place(
  engine: NativeEngine,
  target: Output,
  placements: Placements,
  { meter, onProgress, signal }: PlaceOptions,
): Promise<void> {
  let written = 0;
  try {
    await engine.place(target, placements, {
      signal,
      onDone: (index) => {
        const { end, file } = placements.placed(index);
        onProgress?.(end - written);
        written = end;
        if (file !== undefined) meter.add(file.size, 1);
      },
    });
  } catch (error) {
    throw signal?.aborted ? signal.reason : errorFor(error, placements);
  }
  if (!placements.isComplete) throw new Error('an archive has more files than its tree');
}

function errorFor(error: unknown, placements: Placements): unknown {
  if (error instanceof EngineEnded) {
    return new JailbuildError('WRITE_FAILED', 'the native writer ended early: export again');
  }
  if (!(error instanceof OperationError)) return error;
  const { index, side, errno } = error;
  const source = placements.placed(index).file?.source;
  const system = Object.assign(new Error(errno), { code: errno });
  if (side === 'jail' || source === undefined) return system;
  return side === 'changed' ? changed(source) : notReadable(source, system);
}

/** The parts of an archive as placements, each with the bytes before a file; made when they are asked for, in order. */
class Placements implements LazyList<Placement> {
  /** At most: one for each file, and one for what follows the last. */
  readonly length: number;
  readonly #parts: Iterator<Part>;
  readonly #meter: WorkMeter;
  readonly #ends: Float64Array;
  readonly #files: (FileEntry | undefined)[] = [];
  #offset = 0;
  #isComplete = false;

  constructor({ entries }: FileTree, parts: Iterable<Part>, meter: WorkMeter) {
    this.length = entries.reduce((count, { type }) => count + (type === 'file' ? 1 : 0), 1);
    this.#ends = new Float64Array(this.length);
    this.#parts = parts[Symbol.iterator]();
    this.#meter = meter;
  }

  /** Returns whether all parts have been asked for. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Returns where a placement ends in the archive, and its file. */
  placed(index: number): { readonly end: number; readonly file: FileEntry | undefined } {
    return { end: this.#ends[index] ?? 0, file: this.#files[index] };
  }

  at(): Placement | undefined {
    if (this.#isComplete) return undefined;
    const bytes: Buffer[] = [];
    let start = this.#offset;
    const add = (some: Buffer): void => {
      bytes.push(some);
      this.#offset += some.length;
    };
    for (;;) {
      const { value: part, done } = this.#parts.next();
      if (done) {
        this.#isComplete = true;
        return this.#placement(start, bytes, undefined);
      }
      if ('bytes' in part) {
        add(part.bytes);
      } else if ('alignment' in part) {
        const gap = (part.alignment - (this.#offset % part.alignment)) % part.alignment;
        if (bytes.length > 0) {
          add(Buffer.alloc(gap));
        } else {
          // What is not written reads as zeros.
          this.#offset += gap;
          start = this.#offset;
        }
      } else if (part.file.source === undefined) {
        add(Buffer.from(part.file.content ?? '', 'base64'));
        this.#meter.add(part.file.size, 1);
      } else {
        return this.#placement(start, bytes, part.file);
      }
    }
  }

  #placement(offset: number, bytes: readonly Buffer[], file: FileEntry | undefined): Placement {
    const [only] = bytes;
    const before = bytes.length === 1 && only !== undefined ? only : Buffer.concat(bytes);
    if (file?.source === undefined) {
      this.#told(undefined);
      return { offset, bytes: before };
    }
    const { source, size } = file;
    this.#offset += size;
    this.#told(file);
    return { offset, bytes: before, source: { path: source.slice(1), size } };
  }

  #told(file: FileEntry | undefined): void {
    this.#ends[this.#files.length] = this.#offset;
    this.#files.push(file);
  }
}
