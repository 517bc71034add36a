import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { toBytes } from '../../fs/path-bytes.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { makeTemporaryDirectory } from '../../fs/temporary-directory.js';
import { licenseExpression } from './license.js';
import { LoadedDatabase, type PackageRecord } from './loaded-database.js';
import type { Package, Relation } from './package.js';
import { loadSqlite } from './sqlite.js';

const DIRECTORIES = ['/usr/lib/sysimage/rpm', '/var/lib/rpm'];
const DATABASE = 'rpmdb.sqlite';
/** Formats of rpm before 4.16 and of SUSE: Berkeley DB and ndb. */
const OTHER_FORMATS = ['Packages', 'Packages.db'];

/** Tags of a package header (rpm, include/rpm/rpmtag.h). */
const TAG = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  vendor: 1011,
  license: 1014,
  url: 1020,
  arch: 1022,
  sourceRpm: 1044,
  provideName: 1047,
  requireName: 1049,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  recommendName: 5046,
  suggestName: 5049,
} as const;

/** Types of a tag's data (rpm, "RPM V4 Package format", Header Structure). */
const TYPE = { int32: 4, string: 6, stringArray: 8, i18nString: 9 } as const;

/** The maximum number of entries in a header (rpm, lib/header_internal.hh). */
const MAX_ENTRIES = 1 << 16;

/**
 * Opens rpm's SQLite database, which contains the headers of all packages.
 *
 * @returns undefined if the sysroot has none, and a sentence if it cannot be used
 */
export async function openRpmDatabase(
  sysroot: Sysroot,
): Promise<LoadedDatabase | string | undefined> {
  for (const directory of DIRECTORIES) {
    const found = sysroot.trace(`${directory}/${DATABASE}`);
    if (isTrace(found)) return load(sysroot, found.path);
    const other = OTHER_FORMATS.find((file) => isTrace(sysroot.trace(`${directory}/${file}`)));
    if (other !== undefined) {
      return `${directory}/${other}: is an rpm database in a format other than SQLite: its packages are ignored`;
    }
  }
  return undefined;
}

async function load(sysroot: Sysroot, database: string): Promise<LoadedDatabase | string> {
  let blobs: Buffer[];
  try {
    blobs = await readHeaders(sysroot.realPath(database));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `${database}: is damaged (${why}): its packages are ignored`;
  }
  return new LoadedDatabase(sysroot, blobs.flatMap(recordOf));
}

/** Reads the headers from a copy, since reading a database with a write-ahead log writes to it. */
async function readHeaders(database: string): Promise<Buffer[]> {
  const { path: scratch, remove } = makeTemporaryDirectory('jailbuild-rpm-');
  try {
    const copy = path.join(scratch, DATABASE);
    copyDatabase(database, copy);
    const sqlite = loadSqlite();
    const opened = new sqlite.Database(copy);
    try {
      // WebAssembly has no shared memory for coordination with other processes.
      opened.exec('PRAGMA locking_mode = EXCLUSIVE');
      return opened
        .all('SELECT blob FROM Packages ORDER BY hnum')
        .map(({ blob }) => Buffer.from(blob as Uint8Array));
    } finally {
      opened.close();
    }
  } finally {
    remove();
  }
}

/**
 * Builds an rpm SQLite database of some of a sysroot's packages, with the same tables. Equal
 * packages give equal bytes.
 *
 * @returns its path inside the sysroot and its content; undefined if the sysroot has no SQLite
 *   database
 */
export async function reduceRpmDatabase(
  sysroot: Sysroot,
  isKept: (owner: Package) => boolean,
): Promise<{ readonly path: string; readonly content: Buffer } | undefined> {
  const found = DIRECTORIES.map((directory) => sysroot.trace(`${directory}/${DATABASE}`)).find(
    isTrace,
  );
  if (found === undefined) return undefined;
  const { path: scratch, remove } = makeTemporaryDirectory('jailbuild-rpm-');
  try {
    const [copy, made] = [path.join(scratch, DATABASE), path.join(scratch, 'reduced.sqlite')];
    copyDatabase(sysroot.realPath(found.path), copy);
    const sqlite = loadSqlite();
    const source = new sqlite.Database(copy);
    const target = new sqlite.Database(made);
    try {
      for (const opened of [source, target]) opened.exec('PRAGMA locking_mode = EXCLUSIVE');
      reduce(source, target, isKept);
    } finally {
      source.close();
      target.close();
    }
    return { path: found.path, content: readFileSync(made) };
  } finally {
    remove();
  }
}

type Value = string | number | Uint8Array;

interface Rows {
  all(sql: string): Record<string, unknown>[];
}

interface Writable extends Rows {
  exec(sql: string): void;
  run(sql: string, values: Value[]): unknown;
}

function reduce(source: Rows, target: Writable, isKept: (owner: Package) => boolean): void {
  const kept = source.all('SELECT hnum, blob FROM Packages').flatMap(({ hnum, blob }) => {
    const content = Buffer.from(blob as Uint8Array);
    const record = [recordOf(content)].flat()[0];
    if (record === undefined || !isKept(record.installed)) return [];
    const { name, version, architecture } = record.installed;
    return [{ hnum: Number(hnum), content, order: `${name} ${version} ${architecture}` }];
  });
  kept.sort((a, b) => (a.order < b.order ? -1 : 1));
  const numbers = new Map(kept.map(({ hnum }, index) => [hnum, index + 1]));
  const [{ user_version: version } = { user_version: 0 }] = source.all('PRAGMA user_version');
  target.exec(`PRAGMA user_version = ${Number(version)}`);
  const schema = source.all(
    "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
  );
  target.exec('BEGIN');
  for (const { sql } of schema) target.exec(String(sql));
  for (const [index, { content }] of kept.entries()) {
    target.run('INSERT INTO Packages (hnum, blob) VALUES (?, ?)', [index + 1, content]);
  }
  for (const { type, name } of schema) {
    if (type !== 'table' || name === 'Packages') continue;
    const table = `"${String(name).replaceAll('"', '""')}"`;
    const rows = source.all(`SELECT key, hnum, idx FROM ${table}`).flatMap(({ key, hnum, idx }) => {
      const number = numbers.get(Number(hnum));
      return number === undefined ? [] : [{ key, number, idx: Number(idx) }];
    });
    rows.sort((a, b) => a.number - b.number || a.idx - b.idx);
    for (const { key, number, idx } of rows) {
      target.run(`INSERT INTO ${table} (key, hnum, idx) VALUES (?, ?, ?)`, [
        key as Value,
        number,
        idx,
      ]);
    }
  }
  target.exec('COMMIT');
}

function copyDatabase(database: string, copy: string): void {
  copyFileSync(toBytes(database), copy);
  const log = toBytes(`${database}-wal`);
  if (existsSync(log)) copyFileSync(log, `${copy}-wal`);
}

type Header = ReadonlyMap<number, readonly (string | number)[]>;

/**
 * Parses a header: the number of entries, the length of the data, entries of tag, type, offset and
 * count, and the data. All numbers are big-endian.
 */
export function parseHeader(blob: Buffer): Header | undefined {
  if (blob.length < 8) return undefined;
  const entries = blob.readUInt32BE(0);
  const dataStart = 8 + entries * 16;
  if (entries > MAX_ENTRIES || dataStart + blob.readUInt32BE(4) > blob.length) return undefined;
  const data = blob.subarray(dataStart);
  const wanted = new Set<number>(Object.values(TAG));
  const header = new Map<number, (string | number)[]>();
  for (let index = 0; index < entries; index++) {
    const at = 8 + index * 16;
    const tag = blob.readUInt32BE(at);
    if (!wanted.has(tag)) continue;
    const values = valuesAt(
      data,
      blob.readUInt32BE(at + 4),
      blob.readUInt32BE(at + 8),
      blob.readUInt32BE(at + 12),
    );
    header.set(tag, values);
  }
  return header;
}

function valuesAt(data: Buffer, type: number, start: number, count: number): (string | number)[] {
  const values: (string | number)[] = [];
  let at = start;
  for (let index = 0; index < count && at < data.length; index++) {
    if (type === TYPE.int32) {
      if (at + 4 > data.length) break;
      values.push(data.readUInt32BE(at));
      at += 4;
    } else if (type === TYPE.string || type === TYPE.stringArray || type === TYPE.i18nString) {
      const end = data.indexOf(0, at);
      if (end < 0) break;
      values.push(data.toString('utf8', at, end));
      at = end + 1;
    } else break;
  }
  return values;
}

function filesOf(header: Header): string[] {
  const directories = header.get(TAG.dirNames) ?? [];
  const indexes = header.get(TAG.dirIndexes) ?? [];
  return (header.get(TAG.baseNames) ?? []).map(
    (name, index) => `${directories[Number(indexes[index])] ?? ''}${name}`,
  );
}

function recordOf(blob: Buffer): PackageRecord | [] {
  const header = parseHeader(blob);
  if (header === undefined) return [];
  const text = (tag: number) => header.get(tag)?.[0]?.toString();
  const all = (tag: number) => (header.get(tag) ?? []).map(String);
  const epoch = header.get(TAG.epoch)?.[0];
  const name = text(TAG.name) ?? '';
  // NAME-VERSION-RELEASE.src.rpm
  const source = text(TAG.sourceRpm)?.replace(/-[^-]+-[^-]+$/, '');
  const supplier = text(TAG.vendor);
  const homepage = text(TAG.url);
  return {
    installed: {
      type: 'rpm',
      name,
      version: `${text(TAG.version)}-${text(TAG.release)}`,
      architecture: text(TAG.arch) ?? 'noarch',
      ...(typeof epoch === 'number' ? { epoch } : {}),
      ...(source === undefined || source === name ? {} : { source }),
      ...(supplier === undefined ? {} : { supplier }),
      ...(homepage === undefined ? {} : { homepage }),
      depends: relationsOf(all(TAG.requireName)),
      recommends: relationsOf(all(TAG.recommendName)),
      suggests: relationsOf(all(TAG.suggestName)),
      isEssential: false,
    },
    provides: all(TAG.provideName),
    license: licenseExpression(text(TAG.license) ?? ''),
    files: filesOf(header),
  };
}

/**
 * Drops `rpmlib(...)` and `config(...)`, which rpm and the package itself satisfy. Rich
 * dependencies such as `(a or b)` are dropped too.
 */
function relationsOf(names: readonly string[]): Relation[] {
  return [...new Set(names)]
    .filter((name) => !/^(rpmlib|config)?\(/.test(name))
    .map((name) => [name]);
}
