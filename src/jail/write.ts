import { lstatSync } from 'node:fs';
import path from 'node:path';
import type { Entry, Manifest } from '../plan/manifest.js';
import { timestamp } from '../plan/timestamp.js';
import { NodeEngine } from './node-engine.js';
import type { Attributes, CreateOperation } from './operations.js';
import type { FileReport } from './report.js';
import { RECORD_NAME, STAGE_NAME, STATE_DIRECTORY } from './state.js';
import { type Finding, survey } from './survey.js';
import { locateTarget } from './target.js';
import { type Step, Transaction } from './transaction.js';

const STAGE = `${STATE_DIRECTORY}/${STAGE_NAME}`;
const RECORD = `${STATE_DIRECTORY}/${RECORD_NAME}`;
const STAGED_RECORD = `${STAGE}/${RECORD_NAME}`;

export interface WriteOptions {
  /** The real path that the sources are in; '' for `/`. */
  readonly sourceRoot?: string;
  /** Leave what the jail has already. */
  readonly noClobber?: boolean;
  /** Leave what the jail has at these paths. */
  readonly keep?: ReadonlySet<string>;
  /**
   * Entries of earlier plans to take out of an existing jail, parents before what they hold. Of a
   * directory, all that is in it must be among them.
   */
  readonly removals?: readonly Entry[];
  /**
   * The text of the jail's record, given what was found, or undefined if it is to stay as it is.
   * Called before anything is changed; written as the last step.
   */
  readonly record?: (findings: readonly Finding[]) => string | undefined;
  /** Called for each entry as its new content is ready, or is found to be there. */
  readonly onFile?: (report: FileReport) => void;
  /** Ends the write, leaving the jail as it was. */
  readonly signal?: AbortSignal;
}

/**
 * Makes the jail what the plan says. A new jail appears whole, by one rename(2). In an existing one
 * all new content is staged before the first file is replaced, each by a rename, and what the plan
 * does not name stays. On failure everything is as it was.
 *
 * @param target the jail's directory, checked by `checkTarget`; missing parents are made
 * @returns one report an entry, in the plan's order
 * @throws JailbuildError CONFLICT, SOURCE_CHANGED, NOT_READABLE, WRITE_FAILED, TARGET_NOT_A_DIRECTORY
 * @throws the signal's reason
 */
export async function writeJail(
  manifest: Manifest,
  target: string,
  options: WriteOptions = {},
): Promise<FileReport[]> {
  const where = locateTarget(target);
  return where.existing === where.path
    ? extendJail(manifest, where.path, options)
    : createJail(manifest, where.path, where.existing, options);
}

/** Stages the jail beside its place, for rename(2) works within one file system only. */
async function createJail(
  manifest: Manifest,
  target: string,
  base: string,
  options: WriteOptions,
): Promise<FileReport[]> {
  const place = path.relative(base, target);
  const names = place.split('/');
  const parents = names.slice(0, -1).map((_, index) => names.slice(0, index + 1).join('/'));
  const stage = path.join(path.dirname(place), `.${path.basename(place)}.jailbuild`);
  const transaction = new Transaction(new NodeEngine(base, options.sourceRoot || '/'));
  const progress = new Progress(options.onFile);
  try {
    await transaction.run(
      parents.flatMap((parent) => makeDirectory(parent, path.join(base, parent))),
      { ordered: true },
    );
    await transaction.run(
      [
        { operation: { op: 'clear', path: stage }, subject: target },
        {
          operation: { op: 'mkdir', path: stage },
          undo: { op: 'clear', path: stage },
          subject: target,
        },
      ],
      { ordered: true },
    );
    const placed = manifest.entries.map((entry) => ({ entry, path: stage + entry.path }));
    await stageEntries(transaction, placed, target, progress, options.signal);
    const record = options.record?.(
      manifest.entries.map((entry) => ({ entry, need: 'create' as const })),
    );
    await transaction.run(
      [
        ...(record === undefined
          ? []
          : [
              {
                operation: { op: 'mkdir', path: `${stage}/${STATE_DIRECTORY}` },
                subject: target,
              } as const,
              writeRecord(`${stage}/${RECORD}`, record, target),
            ]),
        ...closeDirectories(placed, target),
        { operation: { op: 'attributes', path: stage, attributes: fresh() }, subject: target },
        { operation: { op: 'rename', path: stage, to: place }, subject: target },
      ],
      { ordered: true, signal: options.signal },
    );
  } catch (error) {
    throw await transaction.rollBack(error);
  }
  return progress.reports(manifest);
}

async function extendJail(
  manifest: Manifest,
  target: string,
  { sourceRoot, noClobber = false, keep, removals = [], record, onFile, signal }: WriteOptions,
): Promise<FileReport[]> {
  const progress = new Progress(onFile);
  const findings = survey(manifest, target, { noClobber, keep, owners: ownersAreKept() });
  for (const { entry, as } of findings) {
    if (as === 'planned') progress.add(entry, 'unchanged');
    if (as === 'kept') progress.add(entry, 'kept');
  }
  const work = findings.filter(({ need }) => need !== 'nothing');
  const newRecord = record?.(findings);
  const look = (inside: string) => lstatSync(path.join(target, inside), { throwIfNoEntry: false });
  const isDone = work.length === 0 && removals.length === 0 && newRecord === undefined;
  if (isDone && look(STAGE) === undefined) return progress.reports(manifest);

  const transaction = new Transaction(new NodeEngine(target, sourceRoot || '/'));
  const hadState = look(STATE_DIRECTORY);
  const hadRecord = look(RECORD) !== undefined;
  const replaced = new Set(
    work.filter(({ need }) => need === 'replace').map(({ entry }) => entry.path),
  );
  const staged = work
    .filter(({ entry }) => entry.type !== 'directory')
    .map(({ entry }, index) => ({ entry, path: `${STAGE}/${index}` }));
  const directories = work
    .filter(({ entry }) => entry.type === 'directory')
    .map(({ entry }) => ({ entry, path: entry.path.slice(1) }));
  const tidy: Step[] = [
    { operation: { op: 'clear', path: STAGE }, subject: target },
    ...(hadState === undefined && newRecord === undefined
      ? [{ operation: { op: 'rmdir', path: STATE_DIRECTORY }, subject: target } as const]
      : []),
  ];
  try {
    await transaction.run(
      [
        ...(hadState === undefined
          ? [
              {
                operation: { op: 'mkdir', path: STATE_DIRECTORY },
                undo: { op: 'rmdir', path: STATE_DIRECTORY },
                subject: target,
              } as const,
            ]
          : []),
        { operation: { op: 'clear', path: STAGE }, subject: target },
        {
          operation: { op: 'mkdir', path: STAGE },
          undo: { op: 'clear', path: STAGE },
          subject: target,
        },
      ],
      { ordered: true },
    );
    await stageEntries(transaction, staged, target, progress, signal, replaced);
    if (newRecord !== undefined) {
      await transaction.run([writeRecord(STAGED_RECORD, newRecord, target)]);
    }
    await transaction.run(
      [
        ...directories.map(({ entry, path }): Step => {
          progress.add(entry, 'created');
          return {
            operation: { op: 'mkdir', path },
            undo: { op: 'rmdir', path },
            subject: target + entry.path,
          };
        }),
        ...staged.map(({ entry, path: from }): Step => {
          const to = entry.path.slice(1);
          const subject = target + entry.path;
          return replaced.has(entry.path)
            ? {
                operation: { op: 'exchange', path: from, to },
                undo: { op: 'exchange', path: from, to },
                subject,
              }
            : {
                operation: { op: 'rename', path: from, to },
                undo: { op: 'rename', path: to, to: from },
                subject,
              };
        }),
        ...closeDirectories(directories, target),
        ...removeEntries(removals, target),
        ...(newRecord === undefined ? [] : [putRecord(hadRecord, target)]),
      ],
      { ordered: true, signal },
    );
  } catch (error) {
    throw await transaction.rollBack(error);
  }
  await transaction.run(tidy, { ordered: true });
  return progress.reports(manifest);
}

/** An entry of the plan and where an engine is to make it. */
interface Placed {
  readonly entry: Entry;
  readonly path: string;
}

/** Makes all entries where they are placed; directories are left open for what goes into them. */
async function stageEntries(
  transaction: Transaction,
  placed: readonly Placed[],
  target: string,
  progress: Progress,
  signal: AbortSignal | undefined,
  replaced: ReadonlySet<string> = new Set(),
): Promise<void> {
  const report = ({ entry }: Placed) =>
    progress.add(entry, replaced.has(entry.path) ? 'replaced' : 'created');
  const directories = placed.filter(({ entry }) => entry.type === 'directory');
  const others = placed.filter(({ entry }) => entry.type !== 'directory');
  for (const group of [directories, others]) {
    const steps = group.map(({ entry, path }) => ({
      operation: createOperation(entry, path),
      subject: target + entry.path,
    }));
    await transaction.run(steps, {
      ordered: group === directories,
      signal,
      onDone: (index) => {
        const done = group[index];
        if (done !== undefined) report(done);
      },
    });
  }
}

function createOperation(entry: Entry, path: string): CreateOperation {
  const attributes = attributesOf(entry);
  switch (entry.type) {
    case 'directory':
      return { op: 'mkdir', path };
    case 'symlink':
      return { op: 'symlink', path, target: entry.target, attributes };
    case 'file': {
      const { size, mtime, source, content } = entry;
      if (source === undefined) {
        return { op: 'write', path, content: Buffer.from(content ?? '', 'base64'), attributes };
      }
      return { op: 'copy', path, source: source.slice(1), size, sourceMtime: mtime, attributes };
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

/** The attributes of directories, the innermost first: what is made in one changes its times. */
function closeDirectories(placed: readonly Placed[], target: string): Step[] {
  return placed
    .filter(({ entry }) => entry.type === 'directory')
    .map(({ entry, path }) => ({
      operation: { op: 'attributes', path, attributes: attributesOf(entry) } as const,
      subject: target + entry.path,
    }))
    .reverse();
}

/** Takes entries out: files go to the stage, from where they can be brought back, then directories. */
function removeEntries(entries: readonly Entry[], target: string): Step[] {
  const files = entries.filter(({ type }) => type !== 'directory');
  const directories = entries.filter(({ type }) => type === 'directory').reverse();
  return [
    ...files.map(({ path }, index): Step => {
      const [from, to] = [path.slice(1), `${STAGE}/removed-${index}`];
      return {
        operation: { op: 'rename', path: from, to },
        undo: { op: 'rename', path: to, to: from },
        subject: target + path,
      };
    }),
    ...directories.flatMap((entry): Step[] => {
      const at = entry.path.slice(1);
      const subject = target + entry.path;
      const attributes = { op: 'attributes', path: at, attributes: attributesOf(entry) } as const;
      return [
        // It has them already; undone after the next step is, this gives them back to it.
        { operation: attributes, undo: attributes, subject },
        { operation: { op: 'rmdir', path: at }, undo: { op: 'mkdir', path: at }, subject },
      ];
    }),
  ];
}

function writeRecord(path: string, text: string, target: string): Step {
  const attributes = { ...fresh(), mode: 0o600 };
  const operation = { op: 'write', path, content: Buffer.from(text), attributes } as const;
  return { operation, subject: `${target}/${RECORD}` };
}

/** Puts the staged record in its place. */
function putRecord(hadRecord: boolean, target: string): Step {
  const op = hadRecord ? 'exchange' : 'rename';
  const back = hadRecord
    ? ({ op, path: STAGED_RECORD, to: RECORD } as const)
    : ({ op: 'rename', path: RECORD, to: STAGED_RECORD } as const);
  return {
    operation: { op, path: STAGED_RECORD, to: RECORD },
    undo: back,
    subject: `${target}/${RECORD}`,
  };
}

/** Only root may give files away; elsewhere the owner is the user, and set-id bits would be theirs. */
export function ownersAreKept(): boolean {
  return process.geteuid?.() === 0;
}

function attributesOf({ mode, uid, gid, mtime }: Entry): Attributes {
  const bits = Number.parseInt(mode, 8);
  return ownersAreKept()
    ? { mode: bits, owner: { uid, gid }, mtime }
    : { mode: bits & 0o1777, mtime };
}

function makeDirectory(path: string, subject: string): Step[] {
  return [
    { operation: { op: 'mkdir', path }, undo: { op: 'rmdir', path }, subject },
    { operation: { op: 'attributes', path, attributes: fresh() }, subject },
  ];
}

/** For directories that are no one's copy. */
function fresh(): Attributes {
  return { mode: 0o755, mtime: timestamp(BigInt(Date.now()) * 1_000_000n) };
}

/** Collects the reports. */
class Progress {
  readonly #onFile: (report: FileReport) => void;
  readonly #reports = new Map<string, FileReport>();

  constructor(onFile: (report: FileReport) => void = () => {}) {
    this.#onFile = onFile;
  }

  add({ path, type }: Entry, action: FileReport['action']): void {
    const report: FileReport =
      action === 'kept'
        ? { path, type, status: 'skipped', action, reason: 'exists' }
        : { path, type, status: 'ok', action };
    this.#reports.set(path, report);
    this.#onFile(report);
  }

  reports({ entries }: Manifest): FileReport[] {
    return entries.flatMap(({ path }) => this.#reports.get(path) ?? []);
  }
}
