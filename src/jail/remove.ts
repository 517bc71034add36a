import { lstatSync, rmdirSync } from 'node:fs';
import { errnoOf, JailbuildError } from '../errors.js';
import { releaseTrees } from '../fs/held-tree.js';
import { toBytes } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';
import { type LockOptions, lockJail } from './lock.js';
import { mountsBelow, processesIn } from './occupants.js';
import { readMountPoints } from './record/mount-points.js';
import { findObsolete, JailView } from './record/owned-entries.js';
import { readHistory, requireRecord } from './record/record.js';
import {
  FINGERPRINT_NAME,
  FORMER_STATE_NAMES,
  MOUNT_POINTS_NAME,
  RECORD_NAME,
  STATE_DIRECTORY,
} from './record/state.js';
import { locateTarget } from './target.js';
import { isPrivileged } from './write/stage.js';
import { Transaction } from './write/transaction.js';

export interface RemoveOptions extends LockOptions {
  /** Also remove files that were changed in the jail. */
  readonly changed?: boolean;
  /** Report what would be removed without removing it. */
  readonly dryRun?: boolean;
  /** Called with each path of the jail after its removal. */
  readonly onRemoved?: (path: string) => void;
}

/** An entry that stays. */
export interface Leftover {
  readonly path: string;
  readonly why: 'changed' | 'holds other files' | 'not made by jailbuild';
}

/** The result of a removal. */
export interface RemoveResult {
  /** Paths inside the jail, children before their directory; `/` for the jail itself. */
  readonly removed: readonly string[];
  readonly left: readonly Leftover[];
  readonly warnings: readonly string[];
}

/**
 * Removes what builds put into a jail, the record last, and then the jail's directory if it is empty. Keeps what the
 * user added or changed. If killed, it can be run again.
 *
 * @param target the jail's directory
 * @throws JailbuildError RECORD_MISSING, RECORD_REFUSED, MOUNTED, TARGET_BUSY, WRITE_FAILED
 */
export async function removeJail(
  target: string,
  options: RemoveOptions = {},
): Promise<RemoveResult> {
  try {
    return await remove(target, options);
  } finally {
    releaseTrees();
  }
}

async function remove(target: string, options: RemoveOptions): Promise<RemoveResult> {
  const root = locateTarget(target).path;
  requireRemains(target);
  refuseMounts(root);
  const warnings = processesIn(root).map(
    ({ pid, name }) => `process ${pid} (${name}) is running in the jail`,
  );
  if (options.dryRun) return { ...whatGoes(root, options), warnings };
  const lock = await lockJail(target, options);
  let goes: Going;
  let done: RemoveResult;
  try {
    goes = whatGoes(root, options);
    const removed = await takeOut(goes, root, new Transaction(lock.engine, () => {}), options);
    done = { ...goes, removed, warnings };
  } finally {
    await lock.release();
  }
  return goes.removed.includes('/') && removeRoot(root)
    ? { ...done, removed: [...done.removed, '/'] }
    : done;
}

/**
 * Refuses a directory without traces of a build. Interrupted builds and removals leave one: the record of an unfinished
 * build, the state directory, or an empty jail.
 *
 * @throws JailbuildError RECORD_MISSING, and as `readHistory`
 */
function requireRemains(target: string): void {
  const { record, interrupted } = readHistory(target);
  if (record !== undefined || interrupted !== undefined) return;
  const view = new JailView(locateTarget(target).path, false);
  const names = view.names('');
  if (names?.every((name) => name === STATE_DIRECTORY)) return;
  // A run covers the record's place with a directory that others may enter.
  const state = view.lstat(`/${STATE_DIRECTORY}`);
  const isOurs = Number(state?.uid) === process.geteuid?.() && state?.isDirectory() === true;
  if (isOurs && (Number(state.mode) & 0o777) === 0o700) return;
  requireRecord(target);
}

/** Removes the jail's directory unless it is no longer empty or is a mount point. */
function removeRoot(root: string): boolean {
  try {
    rmdirSync(toBytes(root));
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function refuseMounts(root: string): void {
  const [first, ...others] = mountsBelow(root);
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new JailbuildError(
    'MOUNTED',
    `${first}: is mounted in the jail${more}: unmount it first`,
    first,
  );
}

/** Entries to remove, children before their directory, and entries that stay. */
interface Going {
  readonly removed: readonly string[];
  readonly left: readonly Leftover[];
}

function whatGoes(root: string, { changed = false }: RemoveOptions): Going {
  const view = new JailView(root, isPrivileged());
  const history = readHistory(root);
  const mountPoints = readMountPoints(root);
  const obsolete = findObsolete(undefined, history, view, changed, mountPoints);
  const removed = obsolete.removable.map(({ path: at }) => at).reverse();
  const record = history.record;
  const notOurs = [...(record?.found ?? []), ...(record?.kept ?? [])].filter(
    (at) => view.lstat(at) !== undefined,
  );
  const left = [
    ...obsolete.changed.map(leftover('changed')),
    ...obsolete.held
      .filter(({ path }) => !mountPoints.has(path))
      .map(leftover('holds other files')),
    ...notOurs.map((at) => ({ path: at, why: 'not made by jailbuild' as const })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const going = new Set([...removed, `/${STATE_DIRECTORY}`]);
  const isEmptied = view.names('')?.every((name) => going.has(`/${name}`)) ?? false;
  return { removed: isEmptied ? [...removed, '/'] : removed, left };
}

function leftover(why: Leftover['why']): (entry: Entry) => Leftover {
  return (entry) => ({ path: entry.path, why });
}

async function takeOut(
  { removed }: Going,
  root: string,
  transaction: Transaction,
  { onRemoved = () => {}, signal }: RemoveOptions,
): Promise<string[]> {
  const inside = removed.filter((at) => at !== '/');
  const steps = inside.map((at) => ({
    operation: { op: isDirectory(root + at) ? 'rmdir' : 'unlink', path: at.slice(1) } as const,
    subject: root + at,
  }));
  await transaction.run(steps, {
    ordered: true,
    signal,
    onDone: (index) => onRemoved(inside[index] ?? ''),
  });
  const names = [
    'stage',
    FINGERPRINT_NAME,
    `${FINGERPRINT_NAME}.new`,
    ...FORMER_STATE_NAMES,
    MOUNT_POINTS_NAME,
    `${RECORD_NAME}.new`,
    RECORD_NAME,
  ];
  const state = names.map((name) => ({
    operation: { op: 'remove-tree', path: `${STATE_DIRECTORY}/${name}` } as const,
    subject: `${root}/${STATE_DIRECTORY}`,
  }));
  await transaction.run(state, { ordered: true });
  return inside;
}

function isDirectory(realPath: string): boolean {
  return lstatSync(toBytes(realPath), { throwIfNoEntry: false })?.isDirectory() ?? false;
}
