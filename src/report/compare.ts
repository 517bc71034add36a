import { capabilityText } from '../manifest/file-capabilities.js';
import { reasonText } from '../manifest/reason-text.js';
import { type Contents, type Item, totalSize } from './contents.js';
import { ContentComparison } from './same-content.js';

/** A path that differs between two roots. */
export interface Change {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
  /** In bytes; undefined if the path does not exist there. */
  readonly before?: number;
  readonly after?: number;
  /** The owning package, after the change if it has one there. */
  readonly package?: string;
  /** For `changed`: the attributes that differ, such as `mode 0755 -> 4755`. */
  readonly details: readonly string[];
}

/** A package whose version or total size differs. */
export interface PackageChange {
  readonly name: string;
  /** The version; undefined if the package has no file there, UNKNOWN_VERSION if unknown. */
  readonly before?: string;
  readonly after?: string;
  /** The size of its files in bytes, after minus before. */
  readonly sizeChange: number;
}

/** Set-ID bits or file capabilities that differ. */
export interface PrivilegeChange {
  readonly path: string;
  /** For example `set-user-ID` or `cap_net_raw=ep`; undefined if there are none. */
  readonly before?: string;
  readonly after?: string;
}

/** An entry whose reasons differ. */
export interface ReasonChange {
  readonly path: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** The differences between two roots. Lists are sorted by path or name. */
export interface Comparison {
  readonly before: string;
  readonly after: string;
  readonly changes: readonly Change[];
  /** Empty if only one of the roots has a package database. */
  readonly packages: readonly PackageChange[];
  readonly privileges: readonly PrivilegeChange[];
  /**
   * For entries in both roots, with reasons in both. Different reasons are not differences of the
   * roots.
   */
  readonly reasons: readonly ReasonChange[];
  /**
   * Files of equal size whose content could not be compared, for lack of digests and of the files.
   */
  readonly notCompared: readonly string[];
  /** In bytes. */
  readonly sizeBefore: number;
  readonly sizeAfter: number;
}

/** Compares two roots by path, type, attributes and content. Reads files that have no digests. */
export function compareContents(before: Contents, after: Contents): Comparison {
  const old = byPath(before.items);
  const current = byPath(after.items);
  const paths = [...new Set([...old.keys(), ...current.keys()])].sort();
  const contents = new ContentComparison(before, after);
  const notCompared: string[] = [];
  const hasPackages = [before, after].every(({ items }) => items.some(({ owner }) => owner));
  const isSameContent = (one: Item, other: Item): boolean => {
    if (one.entry.type !== 'file' || other.entry.type !== 'file') return true;
    const isSame = contents.isSame(one.entry, other.entry);
    if (isSame === undefined) notCompared.push(one.entry.path);
    return isSame ?? true;
  };
  const hasOwners = [before, after].every(({ items }) => !isAllOfOneUser(items));
  const context: Context = { isSameContent, hasPackages, hasOwners };
  return {
    before: before.title,
    after: after.title,
    changes: paths.flatMap(
      (path) => changeOf(path, context, old.get(path), current.get(path)) ?? [],
    ),
    packages: hasPackages ? packageChanges(before.items, after.items) : [],
    privileges: paths.flatMap((path) => privilegeChange(path, old.get(path), current.get(path))),
    reasons: paths.flatMap((path) => reasonChange(path, old.get(path), current.get(path))),
    notCompared,
    sizeBefore: totalSize(before.items),
    sizeAfter: totalSize(after.items),
  };
}

interface Context {
  readonly hasPackages: boolean;
  readonly hasOwners: boolean;
  isSameContent(before: Item, after: Item): boolean;
}

/** Returns whether all files belong to a non-root builder, who could not change their owners. */
function isAllOfOneUser(items: readonly Item[]): boolean {
  const uids = new Set(items.map(({ entry }) => entry.uid));
  return uids.size === 1 && !uids.has(0);
}

function byPath(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.entry.path, item]));
}

function changeOf(path: string, context: Context, before?: Item, after?: Item): Change | undefined {
  const owner = (after ?? before)?.owner?.name;
  const base = {
    path,
    ...(before === undefined ? {} : { before: sizeOf(before) }),
    ...(after === undefined ? {} : { after: sizeOf(after) }),
    ...(owner === undefined ? {} : { package: owner }),
  };
  if (before === undefined) return { kind: 'added', ...base, details: [] };
  if (after === undefined) return { kind: 'removed', ...base, details: [] };
  const details = detailsOf(before, after, context);
  return details.length === 0 ? undefined : { kind: 'changed', ...base, details };
}

function sizeOf({ entry }: Item): number {
  return entry.type === 'file' ? entry.size : 0;
}

/** Returns the attributes that differ. Times are ignored: a reinstalled file is the same file. */
function detailsOf(before: Item, after: Item, context: Context): string[] {
  const [old, current] = [before.entry, after.entry];
  if (old.type !== current.type) return [`type ${old.type} -> ${current.type}`];
  const details: string[] = [];
  const compare = (name: string, one: unknown, other: unknown): void => {
    if (one !== other) details.push(`${name} ${one} -> ${other}`);
  };
  if (old.type !== 'symlink') compare('mode', old.mode, current.mode);
  if (context.hasOwners) {
    compare('uid', old.uid, current.uid);
    compare('gid', old.gid, current.gid);
  }
  if (old.type === 'file' && current.type === 'file') {
    compare('size', old.size, current.size);
    if (old.size === current.size && !context.isSameContent(before, after)) {
      details.push('content');
    }
  }
  if (old.type === 'symlink' && current.type === 'symlink') {
    compare('target', old.target, current.target);
  }
  if ('major' in old && 'major' in current) {
    compare('device', `${old.major}:${old.minor}`, `${current.major}:${current.minor}`);
  }
  compare('capabilities', capabilitiesOf(before) ?? 'none', capabilitiesOf(after) ?? 'none');
  // A new package version alone does not change a file.
  if (details.length > 0 && context.hasPackages) {
    compare('package', versionOf(before), versionOf(after));
  }
  return details;
}

function versionOf({ owner }: Item): string {
  return owner === undefined ? 'none' : `${owner.name} ${owner.version}`;
}

function capabilitiesOf({ entry }: Item): string | undefined {
  const value = entry.xattrs?.['security.capability'];
  return value === undefined ? undefined : capabilityText(value);
}

/** Describes the privileges that a file grants to those who execute it. */
export function privilegesOf(item: Item): string | undefined {
  const mode = item.isSetId ? Number.parseInt(item.entry.mode, 8) : 0;
  const words = [
    ...((mode & 0o4000) === 0 ? [] : ['set-user-ID']),
    ...((mode & 0o2000) === 0 ? [] : ['set-group-ID']),
    ...[capabilitiesOf(item) ?? []].flat(),
  ];
  return words.length === 0 ? undefined : words.join(', ');
}

function privilegeChange(path: string, before?: Item, after?: Item): PrivilegeChange[] {
  const [old, current] = [before, after].map((item) => item && privilegesOf(item));
  if (old === current) return [];
  return [
    {
      path,
      ...(old === undefined ? {} : { before: old }),
      ...(current === undefined ? {} : { after: current }),
    },
  ];
}

function reasonChange(path: string, before?: Item, after?: Item): ReasonChange[] {
  const [old, current] = [before, after].map((item) => item?.entry.reasons.map(reasonText) ?? []);
  if (!old?.length || !current?.length) return [];
  const [added, removed] = [without(current, old), without(old, current)];
  return added.length + removed.length === 0 ? [] : [{ path, added, removed }];
}

function without(texts: readonly string[], known: readonly string[]): string[] {
  const set = new Set(known);
  return texts.filter((text) => !set.has(text));
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
