import { type Contents, type Item, totalSize } from './contents.js';

/** A path that differs between two roots. */
export interface Change {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
  /** Bytes; undefined where the path is absent. */
  readonly before?: number;
  readonly after?: number;
  /** The owning package, after the change if there is one. */
  readonly package?: string;
  /** For `changed`: the attributes that differ, such as `mode 0755 -> 4755`. */
  readonly details: readonly string[];
}

/** A package whose version or share differs. A version is undefined where no file of it is there. */
export interface PackageChange {
  readonly name: string;
  readonly before?: string;
  readonly after?: string;
  /** Bytes of its files, after minus before. */
  readonly sizeChange: number;
}

export interface Comparison {
  readonly before: string;
  readonly after: string;
  /** Sorted by path. */
  readonly changes: readonly Change[];
  /** Sorted by name. */
  readonly packages: readonly PackageChange[];
  /** Files that have set-id bits or capabilities after, and had not before. */
  readonly privileges: readonly string[];
  /** Bytes. */
  readonly sizeBefore: number;
  readonly sizeAfter: number;
}

/** Compares two roots by path, type, attributes and, where both have digests, content. */
export function compareContents(before: Contents, after: Contents): Comparison {
  const old = byPath(before.items);
  const current = byPath(after.items);
  const paths = [...new Set([...old.keys(), ...current.keys()])].sort();
  return {
    before: before.title,
    after: after.title,
    changes: paths.flatMap((path) => changeOf(path, old.get(path), current.get(path)) ?? []),
    packages: packageChanges(before.items, after.items),
    privileges: paths.filter((path) => gainsPrivileges(old.get(path), current.get(path))),
    sizeBefore: totalSize(before.items),
    sizeAfter: totalSize(after.items),
  };
}

function byPath(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.entry.path, item]));
}

function changeOf(path: string, before?: Item, after?: Item): Change | undefined {
  const owner = (after ?? before)?.owner?.name;
  const base = {
    path,
    ...(before === undefined ? {} : { before: sizeOf(before) }),
    ...(after === undefined ? {} : { after: sizeOf(after) }),
    ...(owner === undefined ? {} : { package: owner }),
  };
  if (before === undefined) return { kind: 'added', ...base, details: [] };
  if (after === undefined) return { kind: 'removed', ...base, details: [] };
  const details = detailsOf(before, after);
  return details.length === 0 ? undefined : { kind: 'changed', ...base, details };
}

function sizeOf({ entry }: Item): number {
  return entry.type === 'file' ? entry.size : 0;
}

/** Times are not compared: a file that was installed again is the same file. */
function detailsOf(before: Item, after: Item): string[] {
  const [old, current] = [before.entry, after.entry];
  if (old.type !== current.type) return [`type ${old.type} -> ${current.type}`];
  const details: string[] = [];
  const compare = (name: string, one: unknown, other: unknown): void => {
    if (one !== other) details.push(`${name} ${one} -> ${other}`);
  };
  if (old.type !== 'symlink') compare('mode', old.mode, current.mode);
  compare('uid', old.uid, current.uid);
  compare('gid', old.gid, current.gid);
  if (old.type === 'file' && current.type === 'file') {
    compare('size', old.size, current.size);
    if (old.size === current.size && isOtherContent(old.digest, current.digest)) {
      details.push('content');
    }
  }
  if (old.type === 'symlink' && current.type === 'symlink') {
    compare('target', old.target, current.target);
  }
  if ('major' in old && 'major' in current) {
    compare('device', `${old.major}:${old.minor}`, `${current.major}:${current.minor}`);
  }
  if (before.isCapable !== after.isCapable) {
    details.push(after.isCapable ? 'capabilities added' : 'capabilities removed');
  }
  compare('package', versionOf(before), versionOf(after));
  compare('reasons', reasonsOf(before), reasonsOf(after));
  return details;
}

function isOtherContent(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

function versionOf({ owner }: Item): string {
  return owner === undefined ? 'none' : `${owner.name} ${owner.version}`;
}

/** Kinds of reasons, which say more than their number. */
function reasonsOf({ entry }: Item): string {
  return [...new Set(entry.reasons.map(({ kind }) => kind))].sort().join('+') || 'none';
}

function gainsPrivileges(before?: Item, after?: Item): boolean {
  if (after === undefined) return false;
  return (
    (after.isSetId && before?.isSetId !== true) || (after.isCapable && before?.isCapable !== true)
  );
}

function packageChanges(before: readonly Item[], after: readonly Item[]): PackageChange[] {
  const old = bySize(before);
  const current = bySize(after);
  return [...new Set([...old.keys(), ...current.keys()])].sort().flatMap((name) => {
    const [one, other] = [old.get(name), current.get(name)];
    const sizeChange = (other?.size ?? 0) - (one?.size ?? 0);
    if (one?.version === other?.version && sizeChange === 0) return [];
    return {
      name,
      ...(one === undefined ? {} : { before: one.version }),
      ...(other === undefined ? {} : { after: other.version }),
      sizeChange,
    };
  });
}

interface PackageShare {
  readonly version: string;
  readonly size: number;
}

function bySize(items: readonly Item[]): Map<string, PackageShare> {
  const packages = new Map<string, PackageShare>();
  for (const { owner, size } of items) {
    if (owner === undefined) continue;
    const known = packages.get(owner.name)?.size ?? 0;
    packages.set(owner.name, { version: owner.version, size: known + size });
  }
  return packages;
}
