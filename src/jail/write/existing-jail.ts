import { lstatSync } from 'node:fs';
import { JailbuildError } from '../../errors.js';
import { toBytes } from '../../fs/path-bytes.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { Operation } from '../engine/operations.js';
import { type JailLock, lockJail } from '../lock.js';
import { mountsBelow } from '../occupants.js';
import type { Finding } from '../record/finding.js';
import { RECORD_NAME, STAGE_NAME, STATE_DIRECTORY } from '../record/state.js';
import type { FileReport } from '../report.js';
import { Fidelity } from './fidelity.js';
import type { WriteOptions } from './options.js';
import { Progress } from './progress.js';
import { attributesOf as foundAttributes, type Removal, surveyRemovals } from './removals.js';
import { attributesOf, isPrivileged, type Placed, privateFile, stageEntries } from './stage.js';
import { survey } from './survey.js';
import { afterCommit, type Step, Transaction } from './transaction.js';

const STAGE = `${STATE_DIRECTORY}/${STAGE_NAME}`;
const RECORD = `${STATE_DIRECTORY}/${RECORD_NAME}`;

/** Changes needed in an existing jail. */
interface Work {
  readonly findings: readonly Finding[];
  readonly removals: readonly Removal[];
  readonly record: readonly Buffer[] | undefined;
}

/** Changes an existing jail to match the plan; takes no lock if nothing has to change. */
export async function writeExistingJail(
  manifest: Manifest,
  target: string,
  options: WriteOptions,
): Promise<FileReport[]> {
  const look = async (): Promise<Work> => {
    const found = survey(manifest, target, {
      noClobber: options.noClobber ?? false,
      keep: options.keep,
      isTampered: options.isTampered,
      managed: options.managed,
      typeChanges: options.typeChanges,
      owners: isPrivileged(),
    });
    const findings = await withAltered(found, options);
    return {
      findings,
      removals: surveyRemovals(remaining(options), target),
      record: recordOf(findings, options),
    };
  };
  let work = await look();
  if (isDone(work) && !isLeftOver(target)) {
    const progress = new Progress(manifest.entries.length, options);
    reportFound(work, progress);
    return progress.reports();
  }
  const lock = options.lock ?? (await lockJail(target, options));
  try {
    // Before the lock was taken, another build may have changed the jail.
    if (options.lock === undefined) work = await look();
    return await change(manifest, target, work, lock, options);
  } catch (error) {
    throw mountInTheWay(error, target) ?? error;
  } finally {
    if (options.lock === undefined) await lock.release();
  }
}

/**
 * Returns an error naming the mount at or above a path that could not be changed: rename(2) works neither across mounts
 * nor over a mount point (EXDEV, EBUSY).
 */
function mountInTheWay(error: unknown, target: string): JailbuildError | undefined {
  if (!(error instanceof JailbuildError) || error.code !== 'WRITE_FAILED') return undefined;
  const { path: at = '' } = error;
  const mount = mountsBelow(target).find((point) => `${at}/`.startsWith(`${point}/`));
  if (mount === undefined) return undefined;
  return new JailbuildError(
    'MOUNTED',
    `${error.message}: ${mount} is mounted in the jail: unmount it`,
    mount,
    {
      cause: error,
    },
  );
}

/** Returns the removals in directories that stay; a replaced directory is removed with its content. */
function remaining({ removals = [], typeChanges }: WriteOptions): readonly Entry[] {
  if (typeChanges === undefined || typeChanges.size === 0) return removals;
  return removals.filter(({ path }) => {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      if (typeChanges.has(at)) return false;
    }
    return true;
  });
}

/** Files that were given other extended attributes, which lstat(2) does not tell, are made anew. */
async function withAltered(
  findings: readonly Finding[],
  { noClobber, alteredAmong }: WriteOptions,
): Promise<readonly Finding[]> {
  if (noClobber || alteredAmong === undefined) return findings;
  const altered = await alteredAmong(findings.filter(({ as }) => as === 'planned'));
  if (altered.size === 0) return findings;
  return findings.map((finding): Finding => {
    const { entry } = finding;
    return altered.has(entry.path) ? { entry, need: 'replace', isAltered: true } : finding;
  });
}

function isDone({ findings, removals, record }: Work): boolean {
  if (removals.length > 0 || record !== undefined) return false;
  return findings.every(({ need }) => need === 'nothing');
}

/** Returns whether a build was killed between its last change and its cleanup. */
function isLeftOver(target: string): boolean {
  return lstatSync(toBytes(`${target}/${STAGE}`), { throwIfNoEntry: false }) !== undefined;
}

function reportFound({ findings }: Work, progress: Progress): void {
  for (const [position, { entry, as, need }] of findings.entries()) {
    if (as === 'planned') progress.add(position, entry, 'unchanged');
    if (as === 'kept') progress.add(position, entry, 'kept', 'exists');
    if (need === 'repair') progress.add(position, entry, 'replaced');
  }
}

async function change(
  manifest: Manifest,
  target: string,
  work: Work,
  { engine }: JailLock,
  options: WriteOptions,
): Promise<FileReport[]> {
  const { signal, noSync = false } = options;
  let { record } = work;
  const fidelity = new Fidelity(options.strict ?? false, options.onWarning);
  const progress = new Progress(manifest.entries.length, options);
  const transaction = new Transaction(engine, fidelity.note);
  reportFound(work, progress);
  const { placed, units } = place(work.findings);
  const sync: readonly Step[] = noSync ? [] : [{ operation: { op: 'sync' }, subject: target }];
  try {
    if (units.length > 0) fidelity.announce(manifest.entries, engine);
    const staged = new Map(placed.map(({ entry, path }) => [entry.path, path]));
    const present = new Set(
      work.findings.filter(({ as }) => as === 'planned').map(({ entry }) => entry.path),
    );
    let hasCapabilities = false;
    await stageEntries(transaction, placed, target, progress, {
      before: [
        { operation: { op: 'remove-tree', path: STAGE }, subject: target },
        {
          operation: { op: 'mkdir', path: STAGE },
          undo: { op: 'remove-tree', path: STAGE },
          subject: target,
        },
      ],
      locate: (path) => staged.get(path) ?? (present.has(path) ? path.slice(1) : undefined),
      share: options.link ?? false,
      onCapability: (entry, xattrs) => {
        hasCapabilities = true;
        options.onCapability?.(entry, xattrs);
      },
      isSynced: !noSync,
      sourceTimes: options.sourceTimes,
      notMade: fidelity.notMade,
      signal,
    });
    if (hasCapabilities) record = recordOf(work.findings, options);
    options.onStaged?.();
    const made = units.filter(({ entry }) => !fidelity.notMade.has(target + entry.path));
    const steps: Step[] = [
      ...(record === undefined ? [] : announceRecord(record, target)),
      ...sync,
      ...made.map((unit) => putInPlace(unit, target)),
      ...work.findings.flatMap((finding) => repair(finding, target)),
      ...work.removals.map((removal, index) => takeAway(removal, `${STAGE}/-${index}`, target)),
      ...(record === undefined ? [] : [commitRecord(target)]),
    ];
    await transaction.run(steps, { ordered: true, signal });
  } catch (error) {
    throw await transaction.rollBack(error);
  }
  // The stage is removed last: while it exists, the next build syncs the disk again.
  const last: Operation[] = [
    ...(noSync ? [] : [{ op: 'sync' } as const]),
    { op: 'remove-tree', path: STAGE },
  ];
  await afterCommit(engine, last, target);
  return progress.reports();
}

/**
 * Assigns each entry to be made a place in the stage. A new directory is staged with its content, so that it appears at
 * once with its final attributes.
 *
 * @returns all entries, and those that need a rename of their own
 */
function place(findings: readonly Finding[]): {
  readonly placed: readonly Placed[];
  readonly units: readonly Placed[];
} {
  const placed: Placed[] = [];
  const units: Placed[] = [];
  const directories = new Map<string, string>();
  for (const [position, { entry, need }] of findings.entries()) {
    if (need === 'nothing' || need === 'repair') continue;
    const cut = entry.path.lastIndexOf('/');
    const parent = directories.get(entry.path.slice(0, cut));
    const path = parent === undefined ? `${STAGE}/${units.length}` : parent + entry.path.slice(cut);
    const action = need === 'replace' ? 'replaced' : 'created';
    const item: Placed = { entry, path, action, position };
    if (entry.type === 'directory') directories.set(entry.path, path);
    if (parent === undefined) units.push(item);
    placed.push(item);
  }
  return { placed, units };
}

function putInPlace({ entry, path, action }: Placed, target: string): Step {
  const to = inside(entry);
  const subject = target + entry.path;
  return action === 'replaced'
    ? { operation: { op: 'exchange', path, to }, undo: { op: 'exchange', path, to }, subject }
    : {
        operation: { op: 'rename', path, to },
        undo: { op: 'rename', path: to, to: path },
        subject,
      };
}

function repair({ entry, need, found }: Finding, target: string): Step[] {
  if (need !== 'repair' || found === undefined) return [];
  const path = inside(entry);
  const before = foundAttributes(found);
  const { mtime } = before;
  const { mode, owner } = attributesOf(entry, isPrivileged());
  return [
    {
      operation: {
        op: 'attributes',
        path,
        attributes: { mode, mtime, ...(owner === undefined ? {} : { owner }) },
      },
      undo: { op: 'attributes', path, attributes: before },
      subject: target + entry.path,
    },
  ];
}

function takeAway({ path, directory }: Removal, to: string, target: string): Step {
  const at = path.slice(1);
  const subject = target + path;
  return directory === undefined
    ? {
        operation: { op: 'rename', path: at, to },
        undo: { op: 'rename', path: to, to: at },
        subject,
      }
    : {
        operation: { op: 'rmdir', path: at },
        undo: [
          { op: 'mkdir', path: at },
          { op: 'attributes', path: at, attributes: directory },
        ],
        subject,
      };
}

function recordOf(
  findings: readonly Finding[],
  { record }: WriteOptions,
): readonly Buffer[] | undefined {
  const parts = record?.(findings);
  return parts && [...parts];
}

/** Writes the new record into the stage first, so that it is complete when it appears beside the old one. */
function announceRecord(text: readonly Buffer[], target: string): Step[] {
  const path = `${STAGE}/${RECORD_NAME}`;
  const next = `${RECORD}.new`;
  const subject = `${target}/${RECORD}`;
  return [
    { operation: { op: 'write', path, content: text, attributes: privateFile() }, subject },
    { operation: { op: 'replace', path, to: next }, undo: { op: 'unlink', path: next }, subject },
  ];
}

/** Replaces the record. Last step: needs no undo. */
function commitRecord(target: string): Step {
  const operation = { op: 'replace', path: `${RECORD}.new`, to: RECORD } as const;
  return { operation, subject: `${target}/${RECORD}` };
}

function inside({ path }: Entry): string {
  return path.slice(1);
}
