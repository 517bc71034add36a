import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { type InstalledPackage, type PackageDatabase, sourceOf } from './package.js';

/** What may lie beside a package's files and is nobody's to copy. */
const SECRET = /(^ssh_host_.*|[._-]key|\.pem|^shadow.*|^gshadow.*|^secrets?)$/;
/** Where programs keep their state: what is there was not installed. */
const STATE = /^\/(var|run|tmp|home|root|srv)(\/|$)/;
/** Directories within directories, so that links cannot make it endless. */
const MAX_DEPTH = 12;

/** Relations between the packages of a database, and what belongs to them beyond their lists. */
export class PackageFamilies {
  readonly #sysroot: Sysroot;
  readonly #database: PackageDatabase;
  #base: ReadonlySet<InstalledPackage> | undefined;

  constructor(sysroot: Sysroot, database: PackageDatabase) {
    this.#sysroot = sysroot;
    this.#database = database;
  }

  /** Returns the owners of a file and of each symbolic link that leads to it. */
  ownersOf(trace: Trace): InstalledPackage[] {
    const paths = [...trace.links.filter(({ last }) => last).map(({ path }) => path), trace.path];
    return [...new Set([...this.#database.ownersOf(paths).values()].flat())];
  }

  /**
   * Returns packages, and those of the same source that they depend on or recommend: a source is split
   * so that parts can be left out, not because they were made to work alone.
   */
  family(packages: Iterable<InstalledPackage>): Set<InstalledPackage> {
    const members = new Set(packages);
    for (const member of members) {
      for (const other of this.#related(member, [...member.depends, ...member.recommends])) {
        if (sourceOf(other) === sourceOf(member)) members.add(other);
      }
    }
    return members;
  }

  /**
   * Returns what packages depend on, without what every system has: essential packages and their own
   * dependencies.
   *
   * @param depth how many steps are followed; infinite for all
   * @param withBase with what every system has
   */
  dependencies(
    packages: Iterable<InstalledPackage>,
    depth: number,
    withBase = false,
  ): Set<InstalledPackage> {
    const found = new Set<InstalledPackage>();
    let front = [...packages];
    for (let step = 0; step < depth && front.length > 0; step++) {
      const next: InstalledPackage[] = [];
      for (const member of front) {
        for (const other of this.#related(member, member.depends)) {
          if (found.has(other) || (!withBase && this.base().has(other))) continue;
          found.add(other);
          next.push(other);
        }
      }
      front = next;
    }
    return found;
  }

  /** Returns essential packages with all that they depend on. */
  base(): ReadonlySet<InstalledPackage> {
    if (this.#base === undefined) {
      const base = new Set(this.#database.essentials());
      for (const member of base) {
        for (const other of this.#related(member, member.depends)) base.add(other);
      }
      this.#base = base;
    }
    return this.#base;
  }

  /**
   * Returns files that no package owns in directories that only these packages own: what their
   * installation made there, as caches, links and configuration. Keys, and what not everybody may
   * read, are not among them.
   */
  unownedFiles(packages: ReadonlySet<InstalledPackage>): string[] {
    const listed = [...packages].flatMap((member) => this.#database.filesOf(member) ?? []);
    const own = new Set<string>();
    const directories = new Set<string>();
    for (const file of listed) {
      const found = this.#sysroot.trace(file);
      if (!isTrace(found)) continue;
      own.add(found.path);
      for (const { path } of found.links) own.add(path);
      if (found.stat.type === 'directory' && !STATE.test(found.path)) directories.add(found.path);
    }
    const owners = this.#database.ownersOf([...directories]);
    const candidates: string[] = [];
    for (const directory of directories) {
      const among = owners.get(directory);
      if (among === undefined || among.some((owner) => !packages.has(owner))) continue;
      candidates.push(...this.#unlisted(directory, own));
    }
    const owned = this.#database.ownersOf(candidates);
    return candidates.filter((path) => !owned.has(path)).flatMap((path) => this.#below(path, 0));
  }

  #unlisted(directory: string, own: ReadonlySet<string>): string[] {
    const found = this.#sysroot.trace(directory);
    if (!isTrace(found)) return [];
    return this.#sysroot
      .list(found)
      .map((name) => `${directory}/${name}`)
      .filter((path) => !own.has(path));
  }

  #below(path: string, depth: number): string[] {
    if (SECRET.test(path.slice(path.lastIndexOf('/') + 1)) || depth > MAX_DEPTH) return [];
    const found = this.#sysroot.trace(path);
    if (!isTrace(found) || (found.stat.mode & 0o004) === 0) return [];
    if (found.stat.type === 'file' || found.links.some(({ last }) => last)) return [path];
    if (found.stat.type !== 'directory') return [];
    return this.#sysroot.list(found).flatMap((name) => this.#below(`${path}/${name}`, depth + 1));
  }

  #related(
    member: InstalledPackage,
    relations: readonly (readonly string[])[],
  ): InstalledPackage[] {
    const found = relations.flat().flatMap((name) => this.#database.providersOf(name));
    return [...new Set(found)].filter((other) => other !== member);
  }
}
