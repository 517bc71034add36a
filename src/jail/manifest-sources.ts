import type { Hash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync } from 'node:fs';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { HeldTree } from '../fs/held-tree.js';
import { isTrace, Sysroot } from '../fs/sysroot.js';
import { type Difference, differences } from '../manifest/differences.js';
import { readDigest } from '../manifest/digest.js';
import type { Entry, FileEntry, Manifest } from '../manifest/manifest.js';
import { timestamp } from '../manifest/timestamp.js';
import { JailView } from './record/owned-entries.js';
import { STATE_DIRECTORY } from './record/state.js';
import { isPrivileged } from './write/stage.js';

const CHUNK = 1 << 20;

/**
 * The sources of a manifest, verified to have its type, size, digest, link target and device numbers. Modes, owners,
 * times and extended attributes come from the manifest, so sources may differ in them.
 */
export class ManifestSources {
  readonly sysroot: Sysroot;
  /** The manifest for the writer: attributes that it omits are not set. */
  readonly instructions: Manifest;
  readonly #comparison: Comparison;

  private constructor(sysroot: Sysroot, instructions: Manifest, comparison: Comparison) {
    this.sysroot = sysroot;
    this.instructions = instructions;
    this.#comparison = comparison;
  }

  /**
   * Reads every source once.
   *
   * @param name the manifest's file, for messages
   * @param root the directory that contains the sources
   * @throws JailbuildError DIGEST_MISMATCH for the first source that differs from the manifest; MANIFEST_INVALID if the
   * manifest is incomplete or no build could make it; NOT_READABLE; SYSROOT_NOT_A_DIRECTORY
   */
  static async compare(
    manifest: Manifest,
    name: string,
    root: string | undefined,
  ): Promise<ManifestSources> {
    refuseUnfit(manifest, name);
    const sysroot = new Sysroot(root);
    // Loaded on demand: most builds do not need it.
    const { createHash } = await import('node:crypto');
    const comparison = new Comparison(sysroot, () => createHash('sha256'));
    for (const entry of manifest.entries) comparison.add(entry);
    return new ManifestSources(sysroot, instructionsOf(manifest), comparison);
  }

  /**
   * Returns paths at which a jail's file matches the manifest in size, time and attributes, but not in content.
   *
   * @param jail real path of the jail
   */
  tampered(jail: string): Set<string> {
    const view = new JailView(jail, isPrivileged());
    const tree = new HeldTree(jail);
    const paths = this.instructions.entries.flatMap((entry) => {
      const found = view.lstat(entry.path);
      const isCandidate =
        entry.type === 'file' && found !== undefined && view.isAsMade(entry, found);
      if (!isCandidate || this.#comparison.digest(tree, entry.path).digest === entry.digest)
        return [];
      return [entry.path];
    });
    return new Set(paths);
  }

  /** Returns options by which the writer accepts only the compared files. */
  get guard() {
    const times = [...this.#comparison.seen].map(
      ([{ path }, { mtimeNs }]) => [path, timestamp(mtimeNs)] as const,
    );
    return { sourceTimes: new Map(times), onStaged: () => this.#refuseChanged() };
  }

  /** Change times cannot be set back, so an equal one proves that the compared content is unchanged. */
  #refuseChanged(): void {
    for (const [{ source = '' }, before] of this.#comparison.seen) {
      const now = this.#comparison.sources.find(source);
      if (now?.ino === before.ino && now.dev === before.dev && now.ctimeNs === before.ctimeNs)
        continue;
      throw new JailbuildError('SOURCE_CHANGED', `${source}: changed during the build`, source);
    }
  }
}

/** Attributes that sources must share with the manifest, with their wording in messages. */
const GIVEN_BY_SOURCE: Partial<Record<Difference['attribute'], string>> = {
  type: 'is of type',
  size: 'has the size',
  target: 'leads to',
  device: 'is device',
};

class Comparison {
  /** Files with the attributes their sources had when compared. */
  readonly seen = new Map<FileEntry, BigIntStats>();
  readonly sources: HeldTree;
  readonly #sysroot: Sysroot;
  readonly #newHash: () => Hash;
  readonly #buffer = Buffer.allocUnsafe(CHUNK);
  readonly #digests = new Map<string, string>();

  constructor(sysroot: Sysroot, newHash: () => Hash) {
    this.sources = new HeldTree(sysroot.prefix);
    this.#sysroot = sysroot;
    this.#newHash = newHash;
  }

  add(entry: Entry): void {
    if (entry.type === 'file' && entry.content !== undefined) {
      const content = Buffer.from(entry.content, 'base64');
      const digest = `sha256:${this.#newHash().update(content).digest('hex')}`;
      expect(entry.path, 'content has the digest', digest, entry.digest);
    }
    const { source } = entry;
    if (source === undefined) return;
    const stat = this.#look(source);
    const readTarget = () => this.sources.readlink(source);
    for (const { attribute, planned, found } of differences(entry, stat, { readTarget })) {
      const what = GIVEN_BY_SOURCE[attribute];
      if (what !== undefined) expect(source, what, found, planned);
    }
    if (entry.type === 'file') this.#compareContent(entry, source);
  }

  /** Refuses symbolic links on the way to a source, which could lead out of the sysroot. */
  #look(source: string): BigIntStats {
    const parent = source.slice(0, source.lastIndexOf('/')) || '/';
    const trace = this.#sysroot.trace(parent);
    if (!isTrace(trace)) {
      const gone = trace.errno === 'ENOENT' || trace.errno === 'ENOTDIR';
      throw gone ? mismatch(source, 'does not exist') : unreadable(source, trace.errno);
    }
    if (trace.path !== parent)
      throw mismatch(source, `is reached through a symbolic link, at ${trace.path}`);
    try {
      const stat = this.sources.lstat(source);
      if (stat !== undefined) return stat;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      throw unreadable(source, strerror(error));
    }
    throw mismatch(source, 'does not exist');
  }

  #compareContent(entry: FileEntry, source: string): void {
    const { stat, digest } = this.digest(this.sources, source);
    this.seen.set(entry, stat);
    expect(source, 'has the digest', digest, entry.digest);
  }

  /**
   * Hashes a file; hard links to it are read once.
   *
   * @throws JailbuildError NOT_READABLE
   */
  digest(tree: HeldTree, path: string) {
    try {
      const fd = tree.open(path);
      try {
        const stat = fstatSync(fd, { bigint: true });
        const key = `${stat.dev}:${stat.ino}:${stat.ctimeNs}`;
        const digest = this.#digests.get(key) ?? readDigest(this.#newHash(), fd, this.#buffer);
        this.#digests.set(key, digest);
        return { stat, digest };
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      throw unreadable(path, strerror(error));
    }
  }
}

function expect(path: string, what: string, found: string, planned: string | undefined): void {
  if (found !== planned) throw mismatch(path, `${what} ${found}, but the manifest has ${planned}`);
}

function mismatch(path: string, what: string): JailbuildError {
  return new JailbuildError('DIGEST_MISMATCH', `${path}: ${what}`, path);
}

function unreadable(path: string, why: string): JailbuildError {
  return new JailbuildError('NOT_READABLE', `${path}: ${why}`, path);
}

/** Refuses what the format allows but a build cannot follow. */
function refuseUnfit({ entries }: Manifest, name: string): void {
  const refuse = (entry: Entry, what: string): never => {
    throw new JailbuildError('MANIFEST_INVALID', `${name}: ${entry.path}: ${what}`, name);
  };
  const files = new Map<string, FileEntry>();
  for (const entry of entries) {
    if (`${entry.path}/`.startsWith(`/${STATE_DIRECTORY}/`)) {
      refuse(entry, "is reserved for the jail's record");
    }
    if (entry.type !== 'file') continue;
    if (entry.digest === undefined) {
      refuse(entry, 'has no digest by which to verify its source');
    }
    files.set(entry.path, entry);
    if (entry.hardlink === undefined) continue;
    const original = files.get(entry.hardlink);
    if (original?.hardlink !== undefined) refuse(entry, 'is a hard link to a hard link');
    const differing = SHARED.find((field) => original?.[field] !== entry[field]);
    if (differing !== undefined)
      refuse(entry, `is a hard link to ${entry.hardlink} with another ${differing}`);
  }
}

/** Fields that hard links to one file share. */
const SHARED = ['digest', 'size', 'mode', 'uid', 'gid', 'mtime'] as const;

function instructionsOf(manifest: Manifest): Manifest {
  const contents = new Map<string, FileEntry>();
  const entries = manifest.entries.map((entry): Entry => {
    const whole = { ...entry, xattrs: entry.xattrs ?? {} };
    if (whole.type !== 'file') return whole;
    contents.set(whole.path, whole);
    if (whole.source !== undefined || whole.content !== undefined) return whole;
    const { source, content } = contents.get(whole.hardlink ?? '') ?? {};
    return {
      ...whole,
      ...(source === undefined ? {} : { source }),
      ...(content === undefined ? {} : { content }),
    };
  });
  return { ...manifest, entries };
}
