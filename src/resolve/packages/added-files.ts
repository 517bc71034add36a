import { unmerged } from '../../evidence/packages/aliases.js';
import type { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import { isShell } from '../usage/shell.js';
import type { ClosureSoFar } from './closure-so-far.js';

/** The maximum size in bytes of a directory that is added whole because a program names it. */
const MAX_NAMED_TREE = 64 << 20;
/** A directory of more packages is one for all kinds: /usr/lib/x86_64-linux-gnu. */
const MAX_SHARING = 16;
/** Configuration and state, where files may be secrets of the host. */
export const CONFIGURATION = /^\/(etc|var)\//;

/** What the addition of packages uses. */
export interface PackageSources {
  /** The root from which files are copied. */
  readonly sysroot: Sysroot;
  readonly closure: ClosureSoFar;
  readonly database: PackageDatabase;
  readonly families: PackageFamilies;
  /** Receives a sentence for each file that is left out. */
  readonly warnings: string[];
}

/** Adds files of packages to a closure. */
export class AddedFiles {
  readonly #sysroot: Sysroot;
  readonly #closure: ClosureSoFar;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #warnings: string[];
  readonly #dependencies = new Map<InstalledPackage, ReadonlySet<InstalledPackage>>();

  constructor({ sysroot, closure, database, families, warnings }: PackageSources) {
    this.#sysroot = sysroot;
    this.#closure = closure;
    this.#database = database;
    this.#families = families;
    this.#warnings = warnings;
  }

  /**
   * Adds a single path; for a directory or a link to one, none of its content. The interpreter of a
   * script is added only if it is a shell or a dependency of the package: other scripts are for
   * systems that have their language.
   */
  add(trace: Trace, reason: Reason, owner?: InstalledPackage): void {
    const { type, mode } = trace.stat;
    if (type === 'directory') {
      if (trace.path !== '/') this.#closure.add(trace, reason);
      return;
    }
    if (type !== 'file') return;
    if (CONFIGURATION.test(trace.path) && (mode & 0o004) === 0) {
      this.#warnings.push(
        `${trace.path}: is not world-readable and is left out: add --include ${trace.path}`,
      );
      return;
    }
    this.#closure.add(trace, reason);
    this.#closure.addRunnable(trace, (interpreter) => this.#runsWith(interpreter, owner));
  }

  /**
   * Adds a path and everything below it; if that is large, only what its package has there, since
   * other packages may keep other versions of the same, as in a directory for packages of all kinds.
   *
   * @param among all its packages, if they are known
   */
  addTree(
    trace: Trace,
    reason: Reason,
    owner: InstalledPackage,
    among?: readonly InstalledPackage[],
  ): void {
    let paths = this.#isShared(trace, among)
      ? this.#ownBelow(trace, owner)
      : this.#below(trace, MAX_NAMED_TREE);
    if (paths === undefined) {
      paths = this.#ownBelow(trace, owner);
      const others = paths.length === 0 ? '' : `, so only the files of ${owner.name} are added`;
      this.#warnings.push(
        `${trace.path}: is named by a program and larger than ${MAX_NAMED_TREE >> 20} MiB${others}: add --include ${trace.path}`,
      );
      if (paths.length === 0) return;
    }
    this.add(trace, reason);
    for (const path of paths) this.add(path, reason);
  }

  #isShared({ path, stat }: Trace, among?: readonly InstalledPackage[]): boolean {
    if (stat.type !== 'directory') return false;
    const sharing = among ?? this.#database.ownersOf([path]).get(path) ?? [];
    return sharing.length > MAX_SHARING;
  }

  /** Returns what a package has below a directory. */
  #ownBelow(directory: Trace, owner: InstalledPackage): Trace[] {
    const prefix = `${unmerged(directory.path)}/`;
    return (this.#database.filesOf(owner) ?? [])
      .filter((path) => unmerged(path).startsWith(prefix) && isRunTimeFile(path))
      .map((path) => this.#sysroot.trace(path))
      .filter(isTrace);
  }

  /** Returns everything below a directory; undefined if its files exceed the limit in bytes. */
  #below(directory: Trace, limit: number): Trace[] | undefined {
    if (directory.stat.type !== 'directory') return [];
    const sysroot = this.#sysroot;
    const found: Trace[] = [];
    let left = limit;
    const walk = (at: Trace): void => {
      for (const name of sysroot.list(at)) {
        const path = `${at.path}/${name}`;
        const trace = sysroot.trace(path);
        if (!isTrace(trace) || !isRunTimeFile(path)) continue;
        found.push(trace);
        if (trace.stat.type === 'file') left -= trace.stat.size;
        if (left < 0) return;
        if (trace.stat.type === 'directory' && trace.links.length === 0) walk(trace);
      }
    };
    walk(directory);
    return left < 0 ? undefined : found;
  }

  #runsWith(interpreter: Trace, owner: InstalledPackage | undefined): boolean {
    if (isShell(interpreter.path) || this.#closure.has(interpreter.path)) return true;
    if (owner === undefined) return false;
    let needed = this.#dependencies.get(owner);
    if (needed === undefined) {
      needed = this.#families.dependencies([owner], Number.POSITIVE_INFINITY);
      this.#dependencies.set(owner, needed);
    }
    const owners = this.#database.ownersOf([interpreter.path]).get(interpreter.path) ?? [];
    return owners.some((item) => item === owner || needed.has(item));
  }
}
