import { createHash } from 'node:crypto';
import { PackageURL } from 'packageurl-js';
import { packageOwners } from '../evidence/packages/owners.js';
import {
  fullVersion,
  type Package,
  sourceOf,
  sourceVersionOf,
} from '../evidence/packages/package.js';
import { CHUNK_SIZE, type FileTree } from '../export/file-tree.js';
import { FileReader } from '../fs/file-reader.js';
import { HeldTree } from '../fs/held-tree.js';
import type { Sysroot } from '../fs/sysroot.js';
import type { Entry, FileEntry, Reason } from '../manifest/manifest.js';
import { fileTotals, WorkMeter, type WorkProgress } from '../manifest/work.js';
import { type Distribution, readDistribution } from './distribution.js';
import { type PackageNote, readPackageNote } from './package-note.js';

/** A regular file of a tree. */
export interface InventoryFile {
  readonly path: string;
  readonly sha1: string;
  readonly sha256: string;
}

/** A package and its files in the tree. */
export interface InventoryPackage extends Package {
  /** The package URL, its key in `dependencies`. */
  readonly purl: string;
  readonly files: readonly InventoryFile[];
}

/** The packages and files of a tree, sorted: equal trees give equal inventories. */
export interface Inventory {
  readonly distribution: Distribution;
  readonly packages: readonly InventoryPackage[];
  /** Files that no package owns. */
  readonly files: readonly InventoryFile[];
  /**
   * Dependencies between package URLs, paths of files that no package owns, and `ROOT` for the tree
   * itself.
   */
  readonly dependencies: ReadonlyMap<string, readonly string[]>;
  /** A sentence for each package database that could not be read. */
  readonly warnings: readonly string[];
}

/** The key of the tree itself in `dependencies`. */
export const ROOT = '';

/**
 * Finds the packages that own the files of a tree, and derives their dependencies from the tree's
 * reasons.
 *
 * @param sysroot the system whose package databases are read
 * @param originOf returns the path in the sysroot that an entry is a copy of
 * @param onWork called while files are hashed
 * @throws JailbuildError NOT_READABLE
 */
export async function takeInventory(
  tree: FileTree,
  sysroot: Sysroot,
  originOf: (entry: Entry) => string | undefined,
  onWork?: (progress: WorkProgress) => void,
): Promise<Inventory> {
  const distribution = readDistribution(sysroot);
  const held = new HeldTree(tree.sourceRoot);
  const regular = tree.entries.filter((entry) => entry.type === 'file');
  const origins = new Map(regular.map((entry) => [entry.path, originOf(entry)]));
  const known = [...origins.values()].filter((origin) => origin !== undefined);
  const { owners, warnings } = await packageOwners(sysroot, known);

  const packages = new Map<string, { owner: Package; files: InventoryFile[] }>();
  const files: InventoryFile[] = [];
  const partOf = new Map<string, string>();
  const seen = new Map<string, InventoryFile>();
  const meter = new WorkMeter('hash', fileTotals(regular), onWork);
  for (const entry of regular) {
    const same = entry.hardlink === undefined ? undefined : seen.get(entry.hardlink);
    const hashes = same ?? (await hashesOf(entry, held, meter));
    const file = { path: entry.path, sha1: hashes.sha1, sha256: hashes.sha256 };
    seen.set(entry.path, file);
    const origin = origins.get(entry.path);
    const owner = (origin === undefined ? undefined : owners.get(origin)) ?? noted(entry, held);
    if (owner === undefined) {
      files.push(file);
      partOf.set(entry.path, entry.path);
      continue;
    }
    const purl = packageUrl(owner, distribution);
    const part = packages.get(purl) ?? { owner, files: [] };
    part.files.push(file);
    packages.set(purl, part);
    partOf.set(entry.path, purl);
  }
  return {
    distribution,
    packages: [...packages]
      .map(([purl, part]) => ({ ...part.owner, purl, files: part.files }))
      .sort((a, b) => (a.purl < b.purl ? -1 : 1)),
    files,
    dependencies: dependenciesOf(tree.entries, partOf),
    warnings,
  };
}

/**
 * Returns a package URL (purl-spec), such as
 * `pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc%402.36-9`.
 */
export function packageUrl(owner: Package, { id, version }: Distribution): string {
  const { type, name, architecture, epoch } = owner;
  const distro = id === undefined ? undefined : version === undefined ? id : `${id}-${version}`;
  const qualifiers = {
    arch: architecture,
    ...(distro === undefined ? {} : { distro }),
    ...(epoch === undefined || type !== 'rpm' ? {} : { epoch: String(epoch) }),
    // Scanners match advisories by this qualifier: Debian's advisories are about source packages.
    ...(type === 'deb' ? { upstream: `${sourceOf(owner)}@${sourceVersionOf(owner)}` } : {}),
  };
  const shown = type === 'rpm' ? owner.version : fullVersion(owner);
  return new PackageURL(type, id, name, shown, qualifiers, undefined).toString();
}

async function hashesOf(
  entry: FileEntry,
  held: HeldTree,
  meter: WorkMeter,
): Promise<{ sha1: string; sha256: string }> {
  const hashes = [createHash('sha1'), createHash('sha256')] as const;
  for (const part of contentOf(entry, held)) {
    for (const hash of hashes) hash.update(part);
    meter.add(part.length);
    await meter.turn();
  }
  meter.add(0, 1);
  return { sha1: hashes[0].digest('hex'), sha256: hashes[1].digest('hex') };
}

function* contentOf({ source, content = '' }: FileEntry, held: HeldTree): Generator<Buffer> {
  if (source === undefined) {
    yield Buffer.from(content, 'base64');
    return;
  }
  const reader = new FileReader(held, source);
  try {
    for (let at = 0; at < reader.size; at += CHUNK_SIZE) yield reader.read(at, CHUNK_SIZE);
  } finally {
    reader.close();
  }
}

const PURL_TYPE: Readonly<Record<string, Package['type']>> = {
  deb: 'deb',
  rpm: 'rpm',
  apk: 'apk',
  pacman: 'alpm',
};

/** Returns the package that a file itself declares, if no database owns it. */
function noted({ source }: FileEntry, held: HeldTree): Package | undefined {
  if (source === undefined) return undefined;
  const reader = new FileReader(held, source);
  let note: PackageNote | undefined;
  try {
    note = readPackageNote(reader);
  } finally {
    reader.close();
  }
  if (note?.name === undefined || note.version === undefined) return undefined;
  return {
    type: PURL_TYPE[note.type ?? ''] ?? 'generic',
    name: note.name,
    version: note.version,
    architecture: note.architecture ?? 'unknown',
  };
}

/** Returns the entry that a reason says needs this one. */
function neededBy(reason: Reason): string | undefined {
  if (reason.kind === 'link-target' || reason.kind === 'hwcaps') return undefined;
  if ('by' in reason) return reason.by;
  return 'of' in reason ? reason.of : undefined;
}

/**
 * Converts reasons between files to dependencies between packages. The tree itself depends on what
 * nothing else needs.
 */
function dependenciesOf(
  entries: readonly Entry[],
  partOf: ReadonlyMap<string, string>,
): Map<string, readonly string[]> {
  const targetOf = new Map<string, string>();
  for (const { path, reasons } of entries) {
    for (const reason of reasons) if (reason.kind === 'link-target') targetOf.set(reason.of, path);
  }
  const partAt = (path: string, hops = 0): string | undefined => {
    const next = targetOf.get(path);
    return (
      partOf.get(path) ?? (next === undefined || hops > 40 ? undefined : partAt(next, hops + 1))
    );
  };
  const needs = new Map<string, Set<string>>([[ROOT, new Set()]]);
  for (const part of partOf.values()) needs.set(part, needs.get(part) ?? new Set());
  for (const { path, reasons } of entries) {
    const part = partAt(path);
    if (part === undefined) continue;
    for (const reason of reasons) {
      const from = reason.kind === 'requested' ? ROOT : partAt(neededBy(reason) ?? '');
      if (from !== undefined && from !== part) needs.get(from)?.add(part);
    }
  }
  const reached = new Set<string>();
  const reach = (part: string): void => {
    if (reached.has(part)) return;
    reached.add(part);
    for (const next of needs.get(part) ?? []) reach(next);
  };
  reach(ROOT);
  for (const part of [...needs.keys()].sort()) {
    if (reached.has(part)) continue;
    needs.get(ROOT)?.add(part);
    reach(part);
  }
  return new Map([...needs].sort().map(([part, parts]) => [part, [...parts].sort()]));
}
