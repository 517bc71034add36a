import { JailbuildError } from '../../errors.js';
import { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { isTrace, Sysroot, type Trace } from '../../fs/sysroot.js';
import type { Reason } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { nearest } from '../../text/suggest.js';
import type { Resolution } from '../additions.js';
import { startedShell } from '../advice/shell.js';
import type { FoundProgram } from '../find-program.js';
import { alternativeLinks } from './alternatives.js';
import { namedPaths } from './named-paths.js';

/** A directory that a program names comes as a whole up to this size, in bytes. */
const MAX_NAMED_TREE = 64 << 20;
/** Missing files that a message names. */
const SHOWN = 3;
/** Configuration and state, where files may be secrets of the host. */
const CONFIGURATION = /^\/(etc|var)\//;

/** What brings packages into a closure. */
export type BringPackages = (
  resolution: Resolution,
  requested: readonly FoundProgram[],
) => string[];

/**
 * Returns what brings the packages that a request names, and those that own its programs.
 *
 * @param database undefined where the sysroot has none
 */
export function packagesOf(
  request: ResolveRequest,
  database: PackageDatabase | undefined,
): BringPackages {
  return (resolution, requested) => {
    if (database !== undefined) {
      return new Expansion(resolution, request, database).run(requested);
    }
    const [name] = request.packages ?? [];
    if (name !== undefined) {
      throw new JailbuildError(
        'PACKAGE_NOT_FOUND',
        `package ${name}: there is no package database`,
      );
    }
    return ['--with-package: there is no package database to look in'];
  };
}

class Expansion {
  readonly #resolution: Resolution;
  readonly #request: ResolveRequest;
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #warnings: string[] = [];
  #alternatives: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(resolution: Resolution, request: ResolveRequest, database: PackageDatabase) {
    this.#resolution = resolution;
    this.#request = request;
    this.#database = database;
    this.#families = new PackageFamilies(resolution.sysroot, database);
  }

  run(requested: readonly FoundProgram[]): string[] {
    const { packages = [], withPackage, packageDepends = 0, packageEssential } = this.#request;
    const named = new Set(packages.map((name) => this.#find(name)));
    const family = new Set<InstalledPackage>();
    if (withPackage) {
      const owners = requested.flatMap((program) => this.#ownersOf(program));
      for (const member of this.#families.family(owners)) family.add(member);
    }
    const asked = new Set([...named, ...family]);
    const depth = packageDepends === 'all' ? Number.POSITIVE_INFINITY : packageDepends;
    const needed = this.#families.dependencies(asked, depth, packageEssential);
    for (const member of asked) this.#addPackage(member, named.has(member));
    for (const member of needed) if (!asked.has(member)) this.#addPackage(member, false);
    const all = new Set([...asked, ...needed]);
    this.#addUnowned(all);
    if (withPackage) this.#addNamed(requested, family, all);
    return this.#warnings;
  }

  #find(name: string): InstalledPackage {
    const found = this.#database.find(name) ?? this.#database.providersOf(name)[0];
    if (found !== undefined) return found;
    const near = nearest(name, this.#database.names(), name.length > 4 ? 2 : 1);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw new JailbuildError('PACKAGE_NOT_FOUND', `package ${name}: is not installed${hint}`, name);
  }

  #ownersOf({ as, trace }: FoundProgram): InstalledPackage[] {
    const owners = this.#families.ownersOf(trace);
    if (owners.length === 0) {
      this.#warnings.push(`${as}: no package owns ${trace.path}, so --with-package adds nothing`);
    }
    return owners;
  }

  /** @param isNamed the user named it: then it must be there */
  #addPackage(member: InstalledPackage, isNamed: boolean): void {
    const listed = this.#database.filesOf(member);
    if (listed === undefined) {
      this.#incomplete(member, 'the database has no list of its files', isNamed);
      return;
    }
    const wanted = this.#request.packageDocs ? listed : listed.filter(isRunTimeFile);
    const missing: string[] = [];
    let found = 0;
    for (const path of wanted) {
      const trace = this.#resolution.sysroot.trace(path);
      if (!isTrace(trace)) {
        // Configuration files may be removed by the administrator.
        if (!CONFIGURATION.test(path)) missing.push(path);
        continue;
      }
      if (trace.stat.type === 'file') found++;
      this.#add(trace, { kind: 'package', name: member.name });
      this.#addAlternatives(path, member);
    }
    if (missing.length === 0) return;
    const more = missing.length - SHOWN;
    const names = missing.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
    this.#incomplete(member, `is not there as it was installed: ${names}`, isNamed && found === 0);
  }

  #incomplete({ name }: InstalledPackage, problem: string, isFatal: boolean): void {
    const message = `package ${name}: ${problem}`;
    if (isFatal) throw new JailbuildError('PACKAGE_INCOMPLETE', message, name);
    this.#warnings.push(message);
  }

  #addAlternatives(path: string, { name }: InstalledPackage): void {
    this.#alternatives ??= alternativeLinks(this.#resolution.sysroot);
    for (const link of this.#alternatives.get(path) ?? []) {
      const trace = this.#resolution.sysroot.trace(link);
      if (isTrace(trace) && isRunTimeFile(link)) this.#add(trace, { kind: 'package', name });
    }
  }

  #addUnowned(packages: ReadonlySet<InstalledPackage>): void {
    const [first] = packages;
    if (first === undefined) return;
    for (const path of this.#families.unownedFiles(packages)) {
      if (!this.#request.packageDocs && !isRunTimeFile(path)) continue;
      const trace = this.#resolution.sysroot.trace(path);
      if (!isTrace(trace)) continue;
      const [owner = first] = this.#database.ownersOf([parentOf(path)]).get(parentOf(path)) ?? [];
      this.#add(trace, { kind: 'package', name: owner.name });
    }
  }

  /** Adds what programs name of packages that theirs depend on, or whose libraries they load. */
  #addNamed(
    requested: readonly FoundProgram[],
    family: ReadonlySet<InstalledPackage>,
    brought: ReadonlySet<InstalledPackage>,
  ): void {
    const { sysroot, files, programs } = this.#resolution;
    const probe = new Sysroot(sysroot.prefix === '' ? '/' : sysroot.prefix);
    const objects = this.#ownObjects(requested, family);
    const named = objects.flatMap((object) => {
      const { elf, facts } = programs.read(object.stat.identity);
      if (elf === undefined) return [];
      const paths = namedPaths(probe, object, elf);
      this.#addShell(startedShell(facts?.imports ?? [], paths), object.path);
      return paths.map((path) => ({ ...path, by: object.path }));
    });
    const absent = named.filter(
      ({ trace }) => trace.stat.type === 'directory' || !files.has(trace.path),
    );
    const owners = this.#database.ownersOf([...new Set(absent.map(({ trace }) => trace.path))]);
    const allowed = this.#allowedOwners(family);
    for (const { name, trace, by } of absent) {
      const owner = owners.get(trace.path)?.find((item) => allowed.has(item) && !brought.has(item));
      if (owner === undefined || !isRunTimeFile(trace.path)) continue;
      const found = sysroot.trace(name);
      if (isTrace(found)) this.#addTree(found, { kind: 'named', by, package: owner.name });
    }
  }

  #addShell(shell: string | undefined, by: string): void {
    const trace = shell === undefined ? undefined : this.#resolution.sysroot.trace(shell);
    if (shell === undefined || trace === undefined || !isTrace(trace)) return;
    this.#resolution.programs.addWithReason(trace, { kind: 'command', by, name: shell });
  }

  /** The requested programs, and the libraries of theirs that their own packages have. */
  #ownObjects(requested: readonly FoundProgram[], family: ReadonlySet<InstalledPackage>): Trace[] {
    const { sysroot, files } = this.#resolution;
    const own = new Set([...family].flatMap((member) => this.#database.filesOf(member) ?? []));
    const libraries = files.needed().flatMap((path) => {
      const trace = sysroot.trace(path);
      return isTrace(trace) && trace.stat.type === 'file' && isListed(own, path) ? [trace] : [];
    });
    return [...requested.map(({ trace }) => trace), ...libraries];
  }

  #allowedOwners(family: ReadonlySet<InstalledPackage>): ReadonlySet<InstalledPackage> {
    const { files } = this.#resolution;
    const base = this.#families.base();
    const linked = [...this.#database.ownersOf(files.needed()).values()].flat();
    const all = [
      ...this.#families.dependencies(family, Number.POSITIVE_INFINITY),
      ...linked.filter((owner) => !base.has(owner)),
    ];
    return new Set(all);
  }

  #addTree(trace: Trace, reason: Reason): void {
    const paths = trace.stat.type === 'directory' ? this.#below(trace, MAX_NAMED_TREE) : [];
    if (paths === undefined) {
      this.#warnings.push(
        `${trace.path}: is named by a program and larger than ${MAX_NAMED_TREE >> 20} MiB: add --include ${trace.path}`,
      );
      return;
    }
    this.#add(trace, reason);
    for (const path of paths) this.#add(path, reason);
  }

  /** All that is below a directory; undefined if its files have more bytes than the limit. */
  #below(directory: Trace, limit: number): Trace[] | undefined {
    const { sysroot } = this.#resolution;
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

  /** Adds a path alone: of a directory, and of a link to one, nothing that is in it. */
  #add(trace: Trace, reason: Reason): void {
    const { files, programs } = this.#resolution;
    const { type, mode } = trace.stat;
    if (type === 'directory') {
      if (trace.path !== '/') files.add(trace, reason);
      return;
    }
    if (type !== 'file') return;
    if (CONFIGURATION.test(trace.path) && (mode & 0o004) === 0) {
      this.#warnings.push(
        `${trace.path}: not everybody may read it, and it is left out: add --include ${trace.path}`,
      );
      return;
    }
    files.add(trace, reason);
    programs.addRunnable(trace);
  }
}

/** Packages know files by their names before the merge of /usr, too. */
function isListed(own: ReadonlySet<string>, path: string): boolean {
  return own.has(path) || own.has(path.replace(/^\/usr/, ''));
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
