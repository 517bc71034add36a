import { type BigIntStats, closeSync, fstatSync, readFileSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldDirectory } from '../../fs/dir-handle.js';
import { canonicalJson, canonicalValue } from '../../manifest/canonical-json.js';
import { Field, parseJson } from '../../manifest/json-field.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { toEntries, toManifest } from '../../manifest/read.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { RECORD_NAME, STAGE_NAME, STATE_DIRECTORY } from './state.js';

/** Names the format and its version; a reader refuses one it does not know. */
export const RECORD_SCHEMA = 'jailbuild.record/1';

const RECORD = `${STATE_DIRECTORY}/${RECORD_NAME}`;
const MAX_BYTES = 1 << 26;

/** What a jail was built from, and what of it is jailbuild's. docs/record.md describes every field. */
export interface JailRecord {
  readonly schema: typeof RECORD_SCHEMA;
  /** The version of jailbuild that wrote it. */
  readonly version: string;
  /** Everything that was asked for, such that it means the same from any directory and environment. */
  readonly request: ResolveRequest;
  readonly options: RecordedOptions;
  /** The manifest's file, of a jail that was built from one. */
  readonly from?: string;
  /** Who built it without root's rights, and so owns all of it. */
  readonly builder?: { readonly uid: number; readonly gid: number };
  /** Paths of the manifest that the jail had before, as planned: they are never removed. */
  readonly found: readonly string[];
  /** Paths of the manifest at which the jail keeps the user's own. */
  readonly kept: readonly string[];
  /** Entries of earlier plans that are still in the jail, and that `update` removes. */
  readonly former: readonly Entry[];
  /** Defaults for `run`. */
  readonly run?: Readonly<Record<string, unknown>>;
  /** The jail file that alone has said what the jail holds, by its absolute path. */
  readonly file?: string;
  readonly manifest: Manifest;
}

/** The options of a build that hold for its updates as well. */
export interface RecordedOptions {
  readonly allowMissing?: boolean;
  readonly digests?: boolean;
}

/** What earlier builds are known to have done to a jail. */
export interface JailHistory {
  readonly record?: JailRecord;
  /** The text of the record, to detect changes. */
  readonly text?: string;
  /** Identifies this very file of the record. */
  readonly stamp?: string;
  /** The record that a build would have left which was killed while it changed the jail. */
  readonly interrupted?: JailRecord;
}

/**
 * The record of a jail, or undefined if it has none. Nothing in a jail is trusted: symbolic links
 * are not followed, and a record that others than root or the caller could have written is refused.
 *
 * @param root the jail's directory
 * @throws JailbuildError RECORD_REFUSED, TARGET_NOT_A_DIRECTORY, NOT_READABLE
 */
export function readRecord(root: string): JailRecord | undefined {
  return readHistory(root).record;
}

/**
 * The record of a jail, and that of a build that was killed in it. Both are absent in a directory
 * that no build has left its mark in.
 *
 * @throws as `readRecord`
 */
export function readHistory(root: string): JailHistory {
  const found = readState(root, RECORD_NAME);
  const interrupted = interruptedRecord(root);
  const text = found?.bytes.toString('utf8');
  return {
    ...(found === undefined || text === undefined
      ? {}
      : { text, stamp: found.stamp, record: parseRecord(text, `${root}/${RECORD}`) }),
    ...(interrupted === undefined ? {} : { interrupted }),
  };
}

/**
 * What tells the record's file from any other, `JailHistory.stamp`, without reading it.
 *
 * @throws as `readRecord`
 */
export function readRecordStamp(root: string): string | undefined {
  const stat = statRecord(root);
  return stat === undefined ? undefined : stampOf(stat);
}

/**
 * The record's file, by lstat(2).
 *
 * @throws as `readRecord`
 */
export function statRecord(root: string): BigIntStats | undefined {
  return inState(root, RECORD_NAME, (state) => state.lstat(RECORD_NAME));
}

/**
 * Whether the state has anything of a build that was killed.
 *
 * @throws as `readRecord`
 */
export function hasRemains(root: string): boolean {
  return (
    inState(root, RECORD_NAME, (state) =>
      [`${RECORD_NAME}.new`, STAGE_NAME].some((name) => state.lstat(name) !== undefined),
    ) ?? false
  );
}

/** The new record is written before the first file changes: if it is truncated, none has changed. */
function interruptedRecord(root: string): JailRecord | undefined {
  const text = readState(root, `${RECORD_NAME}.new`)?.bytes.toString('utf8');
  try {
    return text === undefined ? undefined : parseRecord(text, `${root}/${RECORD}`);
  } catch (error) {
    if (error instanceof JailbuildError) return undefined;
    throw error;
  }
}

/**
 * The entries that jailbuild put into a jail and may take out again, by path: not what the jail had
 * before, and not what the user has in their place.
 */
export function entriesOwned({ manifest, former, found, kept }: JailRecord): Map<string, Entry> {
  const own = new Map([...manifest.entries, ...former].map((entry) => [entry.path, entry]));
  for (const path of [...found, ...kept]) own.delete(path);
  return own;
}

/**
 * The record of a jail that must have one.
 *
 * @throws JailbuildError RECORD_MISSING, and as `readRecord`
 */
export function requireRecord(root: string): JailRecord {
  const record = readRecord(root);
  if (record === undefined) {
    throw new JailbuildError(
      'RECORD_MISSING',
      `${root}: has no record of a build; jailbuild build makes one`,
      root,
    );
  }
  return record;
}

/** A file of the jail's state. */
interface StateFile {
  readonly bytes: Buffer;
  readonly stamp: string;
}

/**
 * Reads a file of the jail's state.
 *
 * @returns undefined if it is not there
 * @throws as `readRecord`
 */
export function readState(root: string, name: string): StateFile | undefined {
  return inState(root, name, (state, at) => {
    return readOwnFile(state.file(name), at);
  });
}

/**
 * Puts a file into the jail's state which it does not need: one that cannot be written is left out.
 *
 * @param content is given the stamp of the record; without a record there is nothing to write
 * @throws as `readRecord`
 */
export function keepState(
  root: string,
  name: string,
  content: (stamp: string) => string | Buffer,
): void {
  try {
    inState(root, name, (state) => {
      const record = state.lstat(RECORD_NAME);
      if (record !== undefined) state.replaceFile(name, content(stampOf(record)));
    });
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof JailbuildError)) throw error;
  }
}

/** Does something in the directory of the jail's state; undefined if it is not there, or what is asked of it. */
function inState<T>(
  root: string,
  name: string,
  action: (state: HeldDirectory, at: string) => T,
): T | undefined {
  const jail = openRoot(root);
  const held = [jail];
  let at = `${root}/${STATE_DIRECTORY}`;
  try {
    const state = jail.directory(STATE_DIRECTORY);
    held.push(state);
    refuseForeign(state.stat(), at);
    at += `/${name}`;
    return action(state, at);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === 'ENOENT') return undefined;
    if (errno === 'EACCES')
      throw new JailbuildError('NOT_READABLE', `${at}: ${strerror(error)}`, at);
    const why =
      errno === 'ELOOP' || errno === 'ENOTDIR'
        ? 'is a symbolic link or no directory'
        : strerror(error);
    throw refused(at, why);
  } finally {
    for (const directory of held) directory.close();
  }
}

/** A file that was written again, or moved here from elsewhere, has another one. */
/** What tells a file from any other, and from itself after a change. */
export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function openRoot(root: string): HeldDirectory {
  try {
    return HeldDirectory.open(root);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    const code = errno === 'EACCES' ? 'NOT_READABLE' : 'TARGET_NOT_A_DIRECTORY';
    throw new JailbuildError(code, `${root}: ${strerror(error)}`, root);
  }
}

function readOwnFile(fd: number, at: string): StateFile {
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw refused(at, 'is not a regular file');
    refuseForeign(stat, at);
    // A build makes it for its owner alone, and gives it no second name.
    if ((stat.mode & 0o077n) !== 0n) throw refused(at, 'others than its owner have rights to it');
    if (stat.nlink !== 1n) throw refused(at, 'has another name, by which it could be written');
    if (stat.size > MAX_BYTES) throw refused(at, `is larger than ${MAX_BYTES} bytes`);
    return { bytes: readFileSync(fd), stamp: stampOf(stat) };
  } finally {
    closeSync(fd);
  }
}

/** @throws JailbuildError RECORD_REFUSED for what others than root and the caller may have written */
function refuseForeign(stat: BigIntStats, at: string): void {
  const uid = Number(stat.uid);
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw refused(at, `belongs to uid ${uid}, who may have changed it`);
  }
  if ((stat.mode & 0o022n) !== 0n) throw refused(at, 'others than its owner may write to it');
}

function refused(at: string, why: string): JailbuildError {
  return new JailbuildError('RECORD_REFUSED', `${at}: ${why}`, at);
}

/**
 * A record from its text.
 *
 * @param name what messages call it
 * @throws JailbuildError RECORD_REFUSED, naming the field
 */
export function parseRecord(text: string, name: string): JailRecord {
  try {
    return toRecord(parseJson(text, name), name);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError(
      'RECORD_REFUSED',
      `${error.message}; without this file a build begins a new record`,
      name,
      { cause: error },
    );
  }
}

function toRecord(value: unknown, name: string): JailRecord {
  const root = new Field(value, name).object();
  const schema = root.member('schema').string();
  if (schema !== RECORD_SCHEMA) {
    root.member('schema').refuse(`is ${JSON.stringify(schema)}, known is ${RECORD_SCHEMA}`);
  }
  const builder = (field: Field) => ({
    uid: field.object().member('uid').integer(0, 0xffff_fffe),
    gid: field.member('gid').integer(0, 0xffff_fffe),
  });
  const paths = (field: Field) => field.items().map((item) => item.path());
  return {
    schema: RECORD_SCHEMA,
    version: root.member('version').string(),
    request: toRequest(root.member('request')),
    options: root.member('options').object().value as RecordedOptions,
    ...root.optional('from', (from) => from.string()),
    ...root.optional('builder', builder),
    found: paths(root.member('found')),
    kept: paths(root.member('kept')),
    former: toEntries(root.member('former'), false),
    ...root.optional('run', (run) => run.object().value as Readonly<Record<string, unknown>>),
    ...root.optional('file', (file) => file.string()),
    manifest: toManifest(root.member('manifest').value, `${name}: manifest`),
  };
}

/** The fields known here are checked; those of other stages are taken as they were written. */
function toRequest(field: Field): ResolveRequest {
  const object = field.object();
  for (const name of ['programs', 'path']) {
    if (name === 'programs' || object.has(name)) {
      for (const item of object.member(name).items()) item.string();
    }
  }
  for (const name of ['sysroot', 'cwd']) object.optional(name, (path) => path.string());
  return object.value as ResolveRequest;
}

/** The record as text, the same for equal records, one entry a line. */
export function recordText(record: JailRecord): string {
  const { former, manifest, ...head } = record;
  const lines = Object.entries(head)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `"${name}": ${canonicalValue(value)}`);
  const list = former.length === 0 ? '[]' : `[\n${former.map(canonicalValue).join(',\n')}\n]`;
  return `{\n${lines.join(',\n')},\n"former": ${list},\n"manifest": ${canonicalJson(manifest)}}\n`;
}
