import type { Entry } from '../../manifest/manifest.js';
import type { LazyList } from '../engine/engine.js';
import {
  type Attributes,
  type CreateOperation,
  NOW,
  type Operation,
} from '../engine/operations.js';
import type { FileReport } from '../report.js';
import type { WriteOptions } from './options.js';
import type { Progress } from './progress.js';
import type { Step, StepList, Transaction } from './transaction.js';

/** A planned entry and the path where the engine makes it. */
export interface Placed {
  readonly entry: Entry;
  readonly path: string;
  /** Action to report. */
  readonly action: FileReport['action'];
  /** Index of the entry in the plan. */
  readonly position: number;
}

export interface StageOptions {
  /** Steps to run first. */
  readonly before: readonly Step[];
  /** Times of sources, by planned path, where they differ from the plan's. */
  readonly sourceTimes?: ReadonlyMap<string, string> | undefined;
  /** Returns the current or future place of a planned path, for hard links to it. */
  readonly locate: (path: string) => string | undefined;
  readonly share: boolean;
  /** Called for each file copied with capabilities, with all its extended attributes. */
  readonly onCapability?: WriteOptions['onCapability'] | undefined;
  /** Whether a `sync` follows. */
  readonly isSynced: boolean;
  /** Paths that could not be made, with the reason; filled in from warnings of the transaction. */
  readonly notMade: ReadonlyMap<string, string>;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes all entries in their places, below directories that only the builder can enter. Uses a single run, since a
 * round trip takes longer than many steps.
 */
export async function stageEntries(
  transaction: Transaction,
  placed: LazyList<Placed>,
  target: string,
  progress: Progress,
  options: StageOptions,
): Promise<void> {
  const { notMade, signal, onCapability } = options;
  const steps = new StagingSteps(placed, target, options);
  await transaction.run(steps, {
    ordered: (index) => steps.isOrdered(index),
    signal,
    onDone: (index) => {
      const done = steps.madeBy(index);
      if (done === undefined) return;
      const reason = notMade.get(target + done.entry.path);
      const action = reason === undefined ? done.action : 'none';
      progress.add(done.position, done.entry, action, reason);
    },
    onCapability: (index, xattrs) => {
      const copied = steps.madeBy(index);
      if (copied !== undefined) onCapability?.(copied.entry, xattrs);
    },
  });
}

/**
 * The steps that make entries: what comes before, directories, files in any order, hard links, and the attributes of
 * directories, innermost first, since creating an entry changes its directory's times.
 */
class StagingSteps implements StepList {
  readonly length: number;
  readonly #placed: LazyList<Placed>;
  readonly #target: string;
  readonly #options: StageOptions;
  /** Indexes of placed entries, in the order in which they are made. */
  readonly #made: readonly number[];
  readonly #directories: number;
  readonly #links: number;
  /** Asked once: each time is a system call. */
  readonly #isPrivileged = isPrivileged();

  constructor(placed: LazyList<Placed>, target: string, options: StageOptions) {
    this.#placed = placed;
    this.#target = target;
    this.#options = options;
    const directories: number[] = [];
    const others: number[] = [];
    const links: number[] = [];
    for (let index = 0; index < placed.length; index++) {
      const item = placed.at(index);
      if (item === undefined) continue;
      if (item.entry.type === 'directory') directories.push(index);
      else if (originalOf(item, options) === undefined) others.push(index);
      else links.push(index);
    }
    this.#made = [...directories, ...others, ...links];
    this.#directories = directories.length;
    this.#links = links.length;
    this.length = options.before.length + this.#made.length + directories.length;
  }

  at(index: number): Step | undefined {
    const first = this.#options.before[index];
    if (first !== undefined) return first;
    const item = this.madeBy(index);
    if (item !== undefined)
      return this.#step(item, createOperation(item, this.#options, this.#isPrivileged));
    const closed = this.#made[this.length - 1 - index];
    const directory = closed === undefined ? undefined : this.#placed.at(closed);
    if (directory === undefined) return undefined;
    const { entry, path } = directory;
    return this.#step(directory, {
      op: 'attributes',
      path,
      attributes: attributesOf(entry, this.#isPrivileged),
    });
  }

  undoOf(index: number): Step['undo'] {
    return this.#options.before[index]?.undo;
  }

  /** Returns the entry that a step makes. */
  madeBy(index: number): Placed | undefined {
    const made = this.#made[index - this.#options.before.length];
    return made === undefined ? undefined : this.#placed.at(made);
  }

  isOrdered(index: number): boolean {
    const made = index - this.#options.before.length;
    return made < this.#directories || made >= this.#made.length - this.#links;
  }

  #step({ entry }: Placed, operation: Operation): Step {
    return { operation, subject: this.#target + entry.path };
  }
}

function originalOf({ entry }: Placed, { locate, share }: StageOptions): string | undefined {
  // Links to the sources are already hard links to one another.
  if (entry.type !== 'file' || entry.hardlink === undefined || share) return undefined;
  return locate(entry.hardlink);
}

function createOperation(
  item: Placed,
  options: StageOptions,
  privileged: boolean,
): CreateOperation {
  const { entry, path } = item;
  const attributes = attributesOf(entry, privileged);
  switch (entry.type) {
    case 'directory':
      return { op: 'mkdir', path };
    case 'symlink':
      return { op: 'symlink', path, target: entry.target, attributes };
    case 'file': {
      const { size, mtime, source, content } = entry;
      const original = originalOf(item, options);
      if (original !== undefined) return { op: 'link', path, to: original };
      if (source === undefined) {
        return { op: 'write', path, content: Buffer.from(content ?? '', 'base64'), attributes };
      }
      return {
        op: 'copy',
        path,
        source: source.slice(1),
        size,
        sourceMtime: options.sourceTimes?.get(entry.path) ?? mtime,
        attributes,
        share: options.share,
        writeBack: options.isSynced,
      };
    }
    case 'character-device':
    case 'block-device':
      return {
        op: 'node',
        path,
        type: entry.type,
        major: entry.major,
        minor: entry.minor,
        attributes,
      };
    case 'fifo':
      return { op: 'node', path, type: 'fifo', major: 0, minor: 0, attributes };
  }
}

/**
 * Returns whether owners and set-id bits can be set. Without root the owner is the user, and set-id bits would grant
 * the user's rights.
 */
export function isPrivileged(): boolean {
  return process.geteuid?.() === 0;
}

/** @param privileged whether owners and set-id bits can be set, see `isPrivileged` */
export function attributesOf(
  { mode, uid, gid, mtime, xattrs, source }: Entry,
  privileged: boolean,
): Attributes {
  const bits = Number.parseInt(mode, 8);
  return {
    mtime,
    ...(privileged ? { mode: bits, owner: { uid, gid } } : { mode: bits & 0o1777 }),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(source === undefined ? {} : { like: source.slice(1) }),
  };
}

/** Describes in one sentence what a user without root cannot set as planned. */
export function unprivilegedLoss(entries: readonly Entry[]): string | undefined {
  if (isPrivileged()) return undefined;
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  const lost = entries.some(
    (entry) =>
      entry.uid !== uid || entry.gid !== gid || (Number.parseInt(entry.mode, 8) & 0o6000) !== 0,
  );
  return lost
    ? 'not built as root: all files belong to the user who builds, and set-id bits, capabilities and devices are omitted'
    : undefined;
}

/** Returns attributes for directories that have no source. */
export function freshDirectory(): Attributes {
  return { mode: 0o755, mtime: NOW };
}

/** Returns attributes for files readable by their owner alone. */
export function privateFile(): Attributes {
  return { mode: 0o600, mtime: NOW };
}
