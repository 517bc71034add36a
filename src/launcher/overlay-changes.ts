import { type BigIntStats, lstatSync } from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError } from '../errors.js';
import { deviceNumbers } from '../fs/device-numbers.js';
import { outsideProgram } from '../fs/outside-program.js';
import { fromBytes, listNames, readLink, toBytes } from '../fs/path-bytes.js';
import { typeOf } from '../manifest/entry-type.js';
import { locateLauncher } from './locate.js';

/** A difference between an overlay and its root. */
export interface OverlayChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** Absolute path in the root. For a removed directory, nothing below it is listed. */
  readonly path: string;
  /** As in a manifest: `file`, `directory`, `symlink`, `fifo`, and so on. */
  readonly type: string;
  /** Size in bytes, if the file exists. */
  readonly size?: number;
  /** For `changed`: the attributes that differ, such as `mode 0755 -> 4755`, or `content`. */
  readonly details: readonly string[];
}

/** All differences of an overlay. */
export interface OverlayChanges {
  /** Sorted by path. */
  readonly changes: readonly OverlayChange[];
  /** Directories that could not be read. */
  readonly unreadable: readonly string[];
}

/** A record from the launcher (native/launcher/overlay_changes.c). */
interface LayerRecord {
  readonly kind: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly device: string;
  readonly path: string;
  readonly target?: string;
}

const TYPES: Readonly<Record<string, string>> = {
  ...{ d: 'directory', o: 'directory', f: 'file', '=': 'file', l: 'symlink', p: 'fifo' },
  ...{ c: 'character-device', b: 'block-device', s: 'socket' },
};

/** Mount points that the launcher creates; if empty, they are not changes. */
const PLACES: readonly string[] = ['/dev', '/proc', '/tmp'];
/** State of jailbuild and of the launcher's mount points; hidden from commands. */
const STATE = '/.jailbuild';

/**
 * Lists the changes that earlier runs with `--overlay DIR` made.
 *
 * @param root absolute path of the jail
 * @param directory absolute path of DIR
 * @throws JailbuildError NOT_READABLE, LAUNCHER_MISSING
 */
export async function changesInOverlay(root: string, directory: string): Promise<OverlayChanges> {
  const words = ['-m', '-c', root, '--overlay', directory, '--list-overlay'];
  const run = await outsideProgram();
  const { stdout, stderr, exitCode } = await run(locateLauncher(), words, {
    encoding: 'buffer',
    reject: false,
    stripFinalNewline: false,
  });
  if (exitCode !== 0) {
    const why = String(Buffer.from(stderr))
      .trim()
      .replace(/^invoke_ns: /, '');
    throw new JailbuildError(
      'NOT_READABLE',
      `${directory}: not an overlay of run: ${why}`,
      directory,
    );
  }
  return overlayChanges(root, Buffer.from(stdout));
}

/**
 * Compares the records of a layer with the root below it. A file only opened for writing is not a change; times are not
 * compared.
 */
export function overlayChanges(root: string, records: Buffer): OverlayChanges {
  const entries = parseRecords(records).sort((one, other) => (one.path < other.path ? -1 : 1));
  const present = new Set(entries.map((entry) => entry.path));
  const changes: OverlayChange[] = [];
  const unreadable: string[] = [];
  /** Directories that hide the root's content, or that the root does not have. */
  const opaque = new Set<string>();
  const fresh = new Set<string>();
  for (const entry of entries) {
    const parent = path.dirname(entry.path);
    const stat = fresh.has(parent) ? undefined : statOf(root + entry.path);
    if (entry.kind === '?') unreadable.push(entry.path);
    else changes.push(...changeOf(root, entry, stat));
    if (!'do'.includes(entry.kind)) continue;
    if (stat?.isDirectory() !== true) fresh.add(entry.path);
    else if (entry.kind === 'o' || opaque.has(parent)) {
      opaque.add(entry.path);
      changes.push(...hidden(root, entry.path, present));
    }
  }
  const isOurs = ({ kind, path: at }: OverlayChange): boolean =>
    at === STATE ||
    at.startsWith(`${STATE}/`) ||
    (kind === 'added' &&
      PLACES.includes(at) &&
      !entries.some((entry) => path.dirname(entry.path) === at));
  return {
    changes: changes
      .filter((change) => !isOurs(change))
      .sort((one, other) => (one.path < other.path ? -1 : 1)),
    unreadable,
  };
}

function parseRecords(records: Buffer): LayerRecord[] {
  const fields: string[] = [];
  for (let start = 0; start < records.length; ) {
    const end = records.indexOf(0, start);
    fields.push(fromBytes(records.subarray(start, end)));
    start = end + 1;
  }
  const entries: LayerRecord[] = [];
  while (fields.length > 0) {
    const text = fields.shift() as string;
    const [, kind = '', mode = '', uid, gid, size, device = '', at = ''] =
      /^(.) (\d+) (\d+) (\d+) (\d+) (\d+:\d+) (.*)$/s.exec(text) ?? [];
    const numbers = { uid: Number(uid), gid: Number(gid), size: Number(size) };
    const target = kind === 'l' ? { target: fields.shift() as string } : {};
    entries.push({ kind, mode, ...numbers, device, path: at, ...target });
  }
  return entries;
}

function statOf(file: string): BigIntStats | undefined {
  return lstatSync(toBytes(file), { bigint: true, throwIfNoEntry: false });
}

function changeOf(
  root: string,
  entry: LayerRecord,
  stat: BigIntStats | undefined,
): readonly OverlayChange[] {
  const { kind, path: at, size } = entry;
  if (kind === 'w') return stat === undefined ? [] : [removed(at, stat)];
  const type = TYPES[kind] ?? 'file';
  const base = { path: at, type, ...(type === 'file' ? { size } : {}) };
  if (stat === undefined) return [{ kind: 'added', ...base, details: [] }];
  const details = detailsOf(root, entry, stat);
  return details.length === 0 ? [] : [{ kind: 'changed', ...base, details }];
}

function removed(at: string, stat: BigIntStats): OverlayChange {
  return { kind: 'removed', path: at, type: typeOf(stat), details: [] };
}

function detailsOf(root: string, entry: LayerRecord, stat: BigIntStats): string[] {
  const [before, after] = [typeOf(stat), TYPES[entry.kind]];
  if (before !== after) return [`type ${before} -> ${after}`];
  const details: string[] = [];
  const compare = (name: string, one: string | number, other: string | number): void => {
    if (one !== other) details.push(`${name} ${one} -> ${other}`);
  };
  const mode = Number(stat.mode & 0o7777n).toString(8);
  if (entry.kind !== 'l') compare('mode', mode.padStart(4, '0'), entry.mode);
  // The launcher creates the root of the layer.
  if (entry.path !== '/') {
    compare('uid', Number(stat.uid), entry.uid);
    compare('gid', Number(stat.gid), entry.gid);
  }
  if (entry.kind === 'f') {
    compare('size', Number(stat.size), entry.size);
    if (Number(stat.size) === entry.size) details.push('content');
  }
  if (entry.kind === 'l') compare('target', readLink(root + entry.path), entry.target ?? '');
  if (entry.kind === 'c' || entry.kind === 'b') compare('device', deviceOf(stat), entry.device);
  return details;
}

function deviceOf({ rdev }: BigIntStats): string {
  const { major, minor } = deviceNumbers(rdev);
  return `${major}:${minor}`;
}

/** Returns entries of a root directory that are hidden because the directory was removed and recreated. */
function hidden(root: string, at: string, present: ReadonlySet<string>): OverlayChange[] {
  try {
    return listNames(root + at).flatMap((name) => {
      const entry = path.posix.join(at, name);
      const stat = present.has(entry) ? undefined : statOf(root + entry);
      return stat === undefined ? [] : [removed(entry, stat)];
    });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
