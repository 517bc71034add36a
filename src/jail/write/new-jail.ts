import path from 'node:path';
import type { Manifest } from '../../manifest/manifest.js';
import { inTurns, type Steps, takeSignals } from '../../manifest/steps.js';
import { openEngine } from '../engine/open.js';
import type { Operation } from '../engine/operations.js';
import { acquire } from '../lock.js';
import { refuseInsecure } from '../parents.js';
import { RECORD_NAME, STAGE_NAME, STATE_DIRECTORY } from '../record/state.js';
import type { FileReport } from '../report.js';
import { locateTarget, type Target } from '../target.js';
import { collectGarbage } from './collect-garbage.js';
import { Fidelity } from './fidelity.js';
import type { WriteOptions } from './options.js';
import { Progress } from './progress.js';
import { freshDirectory, type Placed, privateFile, stageEntries } from './stage.js';
import { afterCommit, type Step, Transaction } from './transaction.js';

/** Maximum length of a jail's name within the name of its stage, in bytes. */
const MAX_NAME = 240;

/** Number of entries above which signals must be handled during the verification. */
const LONG = 256;

/** Number of entries above which what resolving and planning leave behind is more than 4 MB. */
const LARGE = 20_000;

/**
 * Makes a new jail, staged in its parent directory since rename(2) works within one file system only. The process
 * working in the stage holds its lock; an abandoned stage is reused.
 *
 * @returns undefined if another build made the jail meanwhile
 */
export async function writeNewJail(
  manifest: Manifest,
  { path: target, existing: base }: Target,
  options: WriteOptions,
): Promise<FileReport[] | undefined> {
  const { signal, noSync = false } = options;
  const place = path.relative(base, target);
  const stage = path.join(path.dirname(place), stageName(path.basename(place)));
  const fidelity = new Fidelity(options.strict ?? false, options.onWarning);
  const progress = new Progress(manifest.entries.length, options);
  const engine = await (options.openEngine ?? openEngine)(base, options.sourceRoot || '/');
  const transaction = new Transaction(engine, fidelity.note);
  let isInPlace = false;
  try {
    fidelity.announce(manifest.entries, engine);
    const parents = makeParents(place, base);
    if (parents.length > 0) {
      await transaction.run(parents, { ordered: true });
      // In a directory such as /tmp, another user may have created one of them first.
      if (!options.insecureParents) refuseInsecure(locateTarget(path.dirname(target)), target);
    }
    await acquire(engine, stage, target, options);
    if (locateTarget(target).existing === target) {
      await engine.run([{ op: 'remove-tree', path: stage }]);
      return undefined;
    }
    const { entries } = manifest;
    const placed = {
      length: entries.length,
      at(index: number): Placed | undefined {
        const entry = entries[index];
        return entry && { entry, path: stage + entry.path, action: 'created', position: index };
      },
    };
    let hasCapabilities = false;
    const staging = stageEntries(transaction, placed, target, progress, {
      before: [
        {
          operation: { op: 'empty', path: stage },
          undo: { op: 'remove-tree', path: stage },
          subject: target,
        },
      ],
      locate: (original) => stage + original,
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
    // Awaited below; an earlier rejection is not unhandled.
    staging.catch(() => {});
    const makeRecord = async () => {
      const findings = manifest.entries.map((entry) => ({ entry, need: 'create' as const }));
      const parts = options.record?.(findings);
      return parts && inTurns(collected(parts), signal);
    };
    let record: readonly Buffer[] | undefined;
    // While files are copied, there is time for it.
    if (manifest.entries.length > LARGE) collectGarbage();
    try {
      // Runs while files are copied, with pauses in which the writer gets more to do.
      record = await makeRecord();
    } finally {
      await staging;
    }
    if (hasCapabilities) record = await makeRecord();
    options.onStaged?.();
    // A jail without a record keeps no state: the message says what to do.
    const isMarked = record !== undefined && !noSync;
    const steps: Step[] = [
      ...(record === undefined ? [] : writeRecord(stage, record, target)),
      ...(isMarked ? [markUnsynced(stage, target)] : []),
      {
        operation: { op: 'attributes', path: stage, attributes: freshDirectory() },
        subject: target,
      },
      ...(noSync ? [] : [{ operation: { op: 'sync' }, subject: target } as const]),
    ];
    const isAside = manifest.entries.length > LONG;
    const finishing = transaction.run(steps, { ordered: true, signal, isAside });
    // Awaited below; an earlier rejection is not unhandled.
    finishing.catch(() => {});
    const reports = progress.reports();
    try {
      // Runs while data goes to disk.
      await options.onWhole?.(path.join(base, stage), reports);
    } finally {
      await finishing;
    }
    await takeSignals(signal);
    await transaction.run([
      { operation: { op: 'rename', path: stage, to: place }, subject: target },
    ]);
    isInPlace = true;
    const last: Operation[] = [
      ...(noSync ? [] : [{ op: 'sync-directory', path: path.dirname(place) } as const]),
      ...(isMarked ? [{ op: 'remove-tree', path: markOf(place) } as const] : []),
    ];
    await afterCommit(engine, last, target);
    return reports;
  } catch (error) {
    throw isInPlace ? error : await transaction.rollBack(error);
  } finally {
    await engine.close();
  }
}

function* collected<T>(items: Iterable<T>): Steps<T[]> {
  const all: T[] = [];
  for (const item of items) {
    all.push(item);
    yield;
  }
  return all;
}

/** Returns the name of the directory in which a jail is staged, given its name. */
export function stageName(name: string): string {
  // A UTF-8 character has up to four bytes.
  const short = Buffer.byteLength(name) > MAX_NAME ? name.slice(0, MAX_NAME / 4) : name;
  return `.${short}.jailbuild`;
}

function makeParents(place: string, base: string): Step[] {
  const names = place.split('/').slice(0, -1);
  return names
    .map((_, index) => names.slice(0, index + 1).join('/'))
    .flatMap((parent): Step[] => {
      const subject = path.join(base, parent);
      return [
        {
          operation: { op: 'mkdir', path: parent, mayExist: true },
          undo: { op: 'remove-if-empty', path: parent },
          subject,
        },
        { operation: { op: 'attributes', path: parent, attributes: freshDirectory() }, subject },
      ];
    });
}

/**
 * Marks a jail whose name may not have reached the disk: as where a stage is left, the next build waits
 * for the disk once more.
 */
function markUnsynced(stage: string, target: string): Step {
  return { operation: { op: 'mkdir', path: markOf(stage) }, subject: target };
}

function markOf(root: string): string {
  return `${root}/${STATE_DIRECTORY}/${STAGE_NAME}`;
}

function writeRecord(stage: string, text: readonly Buffer[], target: string): Step[] {
  const directory = `${stage}/${STATE_DIRECTORY}`;
  const path = `${directory}/${RECORD_NAME}`;
  const attributes = privateFile();
  return [
    { operation: { op: 'mkdir', path: directory }, subject: target },
    {
      operation: { op: 'write', path, content: text, attributes },
      subject: `${target}/${STATE_DIRECTORY}/${RECORD_NAME}`,
    },
  ];
}
