import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { PackageFamilies } from './families.js';
import type { InstalledPackage, PackageDatabase } from './package.js';

/** Names of secrets beside a package's files: never copied. */
const SECRET = /(^ssh_host_.*|[._-]key|\.pem|^shadow.*|^gshadow.*|^secrets?)$/;
/** Directories of program state, whose files no package installed. */
const STATE = /^\/(var|run|tmp|home|root|srv)(\/|$)/;
/** Bounds nested directories, so that links cannot make the search endless. */
const MAX_DEPTH = 12;
const OF_DATA = /^\/usr\/share\/./;
/** State that programs make from data of packages, as well as that of services. */
const MADE_STATE = /^\/var\/(lib|cache)\/./;

/** Finds the files that belong to packages beyond their lists. */
export class UnownedFiles {
  readonly #sysroot: Sysroot;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;

  constructor(sysroot: Sysroot, database: PackageDatabase, families: PackageFamilies) {
    this.#sysroot = sysroot;
    this.#database = database;
    this.#families = families;
  }

  /**
   * Returns the files that no package owns in directories that only these packages own, or that one of
   * them updates: caches, links and configuration made during installation; and caches beside shared
   * data of these packages: gschemas.compiled. Of state, which may be the host's, only what packages of
   * data make. Skips secrets and files that not everyone may read.
   *
   * @param isWanted skips paths, and directories with all their content
   */
  in(packages: ReadonlySet<InstalledPackage>, isWanted: (path: string) => boolean): string[] {
    const listed = [...packages].flatMap(
      (member) => this.#database.filesOf(member)?.filter(isWanted) ?? [],
    );
    const own = new Set<string>();
    const directories = new Set<string>();
    for (const file of listed) {
      const found = this.#sysroot.trace(file);
      if (!isTrace(found)) continue;
      own.add(found.path);
      for (const { path } of found.links) own.add(path);
      if (found.stat.type !== 'directory') continue;
      if (!STATE.test(found.path) || MADE_STATE.test(found.path)) directories.add(found.path);
    }
    const owners = this.#database.ownersOf([...directories]);
    const candidates: string[] = [];
    for (const directory of directories) {
      if (OF_DATA.test(directory)) candidates.push(...this.#cachesIn(directory, own));
      const among = owners.get(directory);
      if (among === undefined) continue;
      if (
        STATE.test(directory) &&
        !among.some((owner) => this.#families.isData(owner) && this.#families.hasUpdater(owner))
      ) {
        continue;
      }
      // A package that updates its data makes caches beside the data of others.
      const isMade =
        OF_DATA.test(directory) &&
        among.some((owner) => packages.has(owner) && this.#families.hasUpdater(owner));
      if (!isMade && among.some((owner) => !packages.has(owner))) continue;
      candidates.push(...this.#unlisted(directory, own));
    }
    const owned = this.#database.ownersOf(candidates);
    return candidates
      .filter((path) => !owned.has(path))
      .flatMap((path) => this.#below(path, 0).filter(isWanted));
  }

  /**
   * Returns the files beside own ones of a directory that are of another form than all of these, as
   * caches are; other files of the same form are for other programs.
   */
  #cachesIn(directory: string, own: ReadonlySet<string>): string[] {
    const found = this.#sysroot.trace(directory);
    if (!isTrace(found)) return [];
    const isFile = (path: string): boolean => {
      const trace = this.#sysroot.trace(path);
      return isTrace(trace) && trace.links.length === 0 && trace.stat.type === 'file';
    };
    const names = this.#sysroot.list(found);
    const forms = new Set<string>();
    const others: string[] = [];
    for (const name of names) {
      const path = `${directory}/${name}`;
      if (!own.has(path)) others.push(path);
      else if (isFile(path)) forms.add(formOf(name));
    }
    if (forms.size === 0) return [];
    return others.filter((path) => !forms.has(formOf(baseName(path))) && isFile(path));
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
    if (SECRET.test(baseName(path)) || depth > MAX_DEPTH) return [];
    const found = this.#sysroot.trace(path);
    if (!isTrace(found) || (found.stat.mode & 0o004) === 0) return [];
    if (found.stat.type === 'file' || found.links.some(({ last }) => last)) return [path];
    if (found.stat.type !== 'directory') return [];
    return this.#sysroot.list(found).flatMap((name) => this.#below(`${path}/${name}`, depth + 1));
  }
}

/** Returns the extension of a name, with its dot; empty if it has none. */
function formOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(dot);
}
