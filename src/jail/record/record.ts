import { type BigIntStats, closeSync, fstatSync, readFileSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../../errors.js';
import { HeldDirectory } from '../../fs/dir-handle.js';
import { canonicalParts, canonicalValue } from '../../manifest/canonical-json.js';
import { Field, parseJson } from '../../manifest/json-field.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { toEntries, toManifest } from '../../manifest/read.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { RECORD_NAME, STAGE_NAME, STATE_DIRECTORY } from './state.js';

/** Names the format and its version; a reader refuses one it does not know. */
export const RECORD_SCHEMA = 'jailbuild.record/1';

const RECORD = `${STATE_DIRECTORY}/${RECORD_NAME}`;
const MAX_BYTES = 1 << 26;

/** What a jail was built from, and which entries builds made. docs/record.md describes every field. */
export interface JailRecord {
  readonly schema: typeof RECORD_SCHEMA;
  /** The version of jailbuild that wrote the record. */
  readonly version: string;
  /** Everything requested, independent of working directory and environment. */
  readonly request: ResolveRequest;
  readonly options: RecordedOptions;
  /** The manifest's file, for a jail built from one. */
  readonly from?: string;
  /** The user who built it without root, and so owns everything in it. */
  readonly builder?: { readonly uid: number; readonly gid: number };
  /** Paths of the manifest that already existed as planned: builds never remove them. */
  readonly found: readonly string[];
  /** Paths of the manifest where the jail keeps the user's own entry. */
  readonly kept: readonly string[];
  /** Entries of earlier plans still in the jail; `update` removes them. */
  readonly former: readonly Entry[];
  /** Defaults for `run`. */
  readonly run?: Readonly<Record<string, unknown>>;
  /** Absolute path of the jail file, if it alone determined the content. */
  readonly file?: string;
  readonly manifest: Manifest;
}

/** Build options that also apply to updates. */
export interface RecordedOptions {
  readonly allowMissing?: boolean;
  readonly digests?: boolean;
}

/** What earlier builds are known to have done to a jail. */
export interface JailHistory {
  readonly record?: JailRecord;
  /** The record's text, to detect changes. */
  readonly text?: string;
  /** Identifies this exact file of the record. */
  readonly stamp?: string;
  /** The record that a build killed while changing the jail would have left. */
  readonly interrupted?: JailRecord;
}

/**
 * Returns the record of a jail, or undefined if it has none. Trusts nothing in the jail: follows no symbolic links, and
 * refuses a record that users other than root or the caller could have written.
 *
 * @param root the jail's directory
 * @throws JailbuildError RECORD_REFUSED, TARGET_NOT_A_DIRECTORY, NOT_READABLE
 */
export function readRecord(root: string): JailRecord | undefined {
  return readHistory(root).record;
}

/**
 * Returns the record of a jail and that of an interrupted build. Both are absent in a directory that no build has
 * touched.
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
 * Returns the stamp of the record's file (`JailHistory.stamp`) without reading it.
 *
 * @throws as `readRecord`
 */
export function readRecordStamp(root: string): string | undefined {
  const stat = statRecord(root);
  return stat === undefined ? undefined : stampOf(stat);
}

/**
 * Returns the attributes of the record's file, by lstat(2).
 *
 * @throws as `readRecord`
 */
export function statRecord(root: string): BigIntStats | undefined {
  return inState(root, RECORD_NAME, (state) => state.lstat(RECORD_NAME));
}

/**
 * Returns whether the state contains anything of an interrupted build.
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

/**
 * Reads the record of an interrupted build. It is written completely before the first file changes, so a truncated one
 * means that nothing changed.
 */
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
 * Returns the entries that builds put into a jail and may remove again, by path: not those that existed before, and not
 * the user's replacements.
 */
export function entriesOwned({ manifest, former, found, kept }: JailRecord): Map<string, Entry> {
  const own = new Map([...manifest.entries, ...former].map((entry) => [entry.path, entry]));
  for (const path of [...found, ...kept]) own.delete(path);
  return own;
}

/**
 * Returns the record of a jail, which must have one.
 *
 * @throws JailbuildError RECORD_MISSING, and as `readRecord`
 */
export function requireRecord(root: string): JailRecord {
  const record = readRecord(root);
  if (record === undefined) {
    throw new JailbuildError(
      'RECORD_MISSING',
      `${root}: has no record of a build: create one with jailbuild build`,
      root,
    );
  }
  return record;
}

/** A file in the jail's state directory. */
interface StateFile {
  readonly bytes: Buffer;
  readonly stamp: string;
}

/**
 * Reads a file in the jail's state directory.
 *
 * @returns undefined if it does not exist
 * @throws as `readRecord`
 */
export function readState(root: string, name: string): StateFile | undefined {
  return inState(root, name, (state, at) => {
    return readOwnFile(state.file(name), at);
  });
}

/**
 * Writes an optional file into the jail's state directory; ignores failure to write it.
 *
 * @param content returns the parts of the content, given the record's stamp; nothing is written without a record
 * @throws as `readRecord`
 */
export function keepState(
  root: string,
  name: string,
  content: (stamp: string) => Iterable<Buffer>,
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

/**
 * Runs a function in the jail's state directory; returns undefined if the directory or what the function needs does not
 * exist.
 */
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
        ? 'is a symbolic link or not a directory'
        : strerror(error);
    throw refused(at, why);
  } finally {
    for (const directory of held) directory.close();
  }
}

/** A file that was rewritten, or moved here from elsewhere, has another stamp. */
/** Returns a stamp that distinguishes a file from any other, and from itself after a change. */
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
    // Builds create it readable by its owner alone and with one name.
    if ((stat.mode & 0o077n) !== 0n)
      throw refused(at, 'is accessible to users other than its owner');
    if (stat.nlink !== 1n)
      throw refused(at, 'has another hard link, through which it could be changed');
    if (stat.size > MAX_BYTES) throw refused(at, `is larger than ${MAX_BYTES} bytes`);
    return { bytes: readFileSync(fd), stamp: stampOf(stat) };
  } finally {
    closeSync(fd);
  }
}

/** @throws JailbuildError RECORD_REFUSED if users other than root and the caller may have written the file */
function refuseForeign(stat: BigIntStats, at: string): void {
  const uid = Number(stat.uid);
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw refused(at, `belongs to uid ${uid}, who may have changed it`);
  }
  if ((stat.mode & 0o022n) !== 0n) throw refused(at, 'is writable by users other than its owner');
}

function refused(at: string, why: string): JailbuildError {
  return new JailbuildError('RECORD_REFUSED', `${at}: ${why}`, at);
}

/**
 * Parses a record.
 *
 * @param name the record's name in messages
 * @throws JailbuildError RECORD_REFUSED, naming the field
 */
export function parseRecord(text: string, name: string): JailRecord {
  try {
    return toRecord(parseJson(text, name), name);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    throw new JailbuildError(
      'RECORD_REFUSED',
      `${error.message}: remove the file to start a new record`,
      name,
      { cause: error },
    );
  }
}

function toRecord(value: unknown, name: string): JailRecord {
  const root = new Field(value, name).object();
  const schema = root.member('schema').string();
  if (schema !== RECORD_SCHEMA) {
    root.member('schema').refuse(`is ${JSON.stringify(schema)}, expected ${RECORD_SCHEMA}`);
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

/** Checks the fields known here; later steps check the others. */
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

/**
 * Yields the record as text in UTF-8, in parts: equal records give equal texts, one entry a line. The text of a large
 * jail takes more memory as one string, and as much again to make and to send.
 */
export function* recordText(record: JailRecord): Generator<Buffer> {
  for (const part of recordParts(record)) yield Buffer.from(part);
}

function* recordParts(record: JailRecord): Generator<string> {
  const { former, manifest, ...head } = record;
  const lines = Object.entries(head)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `"${name}": ${canonicalValue(value)}`);
  const list = former.length === 0 ? '[]' : `[\n${former.map(canonicalValue).join(',\n')}\n]`;
  yield `{\n${lines.join(',\n')},\n"former": ${list},\n"manifest": `;
  yield* canonicalParts(manifest);
  yield '}\n';
}
