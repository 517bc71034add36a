import { type InstalledPackage, sourceOf } from '../../evidence/packages/package.js';
import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { CONFIGURATION, isConfiguration, isData, NOISE, PROGRAM } from '../usage/file-kinds.js';
import { hasModules } from '../usage/library-modules.js';
import { madeCaches } from '../usage/made-state.js';
import { hasFewPrograms } from '../usage/package-programs.js';
import { absentPart } from './absent-parts.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext, HostPackages } from './context.js';
import { hasSettings, hasUse } from './file-use.js';
import type { Named } from './program-paths.js';

/** A path that a program names, and a package that has it. */
interface Wanted extends Named {
  readonly owner: InstalledPackage;
}

/** Advises on data of the program's own package and its dependencies that the program names. */
export function adviseOnNamedData(program: AdvisedProgram, context: AdviceContext): void {
  const { packages } = context;
  if (packages === undefined || program.owners.length === 0) return;
  const wanted = wantedBy(program, packages, context);
  // Defaults often replace a missing configuration.
  const data = wanted.filter(({ trace }) => !CONFIGURATION.test(trace.path));
  const isOwn = ({ owner }: Wanted) => program.sources.has(sourceOf(owner));
  const first = data.find(isOwn) ?? data[0] ?? wanted[0];
  if (first === undefined) return;
  const isOnly = wanted.every(({ owner }) => owner === first.owner);
  const isEnough = isOnly && suffices(first, program, context);
  program.add(
    isOwn(first) ? 4 : 2,
    'data',
    `${program.name} names ${first.name}, from ${first.owner.name}`,
    isEnough ? ['--package', first.owner.name] : ['--with-package'],
  );
}

/** Advises on a file of the program's packages that it mentions by name alone. */
export function adviseOnAbsentPart(program: AdvisedProgram, context: AdviceContext): void {
  const part = absentPart(program, context);
  if (part === undefined) return;
  const text = `${program.name} names ${part.file}, from ${part.from}`;
  program.add(4, 'data', text, ['--with-package']);
}

/** Advises on what an installation made of data of the program's packages: see {@link madeCaches}. */
export function adviseOnMadeData(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, jail, contents } = context;
  if (packages === undefined || program.owners.length === 0) return;
  const isOwn = (owner: InstalledPackage) => program.sources.has(sourceOf(owner));
  for (const object of program.objects) {
    const { elf } = jail.read(object);
    if (elf === undefined) continue;
    const { paths } = contents.strings.of(contents.root, object, elf);
    const made = madeCaches(probe, paths, isOwn, packages.database);
    const absent = made.find((file) => !jail.has(file.path));
    if (absent === undefined) continue;
    const text = `${program.name} names ${absent.path}, which an installation made`;
    program.add(4, 'data', text, ['--with-package']);
    return;
  }
}

function wantedBy(
  program: AdvisedProgram,
  packages: HostPackages,
  context: AdviceContext,
): Wanted[] {
  const absent = program.named.filter((path) => isAbsent(path, program, context));
  const byPath = packages.database.ownersOf([...new Set(absent.map(({ trace }) => trace.path))]);
  if (byPath.size === 0) return [];
  const related = new Related(program, packages);
  return absent.flatMap((path) => {
    const { trace, by } = path;
    const among = byPath.get(trace.path) ?? [];
    const suitable = among.filter(
      (owner) =>
        !owner.isEssential &&
        hasUse(trace, owner, { program, by }, context) &&
        (!CONFIGURATION.test(trace.path) || related.isOwner(owner)) &&
        (related.includes(owner) ||
          (by === program.trace && among.length === 1 && packages.families.isData(owner))) &&
        (by === program.trace || isNeededThrough(path, owner, related, context)),
    );
    return suitable.map((owner) => ({ ...path, owner }));
  });
}

/** Returns whether a path leads to data, or to configuration that the program needs, that the jail lacks. */
function isAbsent({ trace, by }: Named, program: AdvisedProgram, context: AdviceContext): boolean {
  const { probe, lacks } = context;
  // What a jail has costs no look at its name.
  if (lacks.isThere(trace)) return false;
  const isWanted =
    isData(trace) ||
    (by === program.trace &&
      isConfiguration(trace) &&
      // Servers rarely start without configuration, even if it only repeats the defaults.
      (program.isSystemServer || hasSettings(probe, trace)));
  return isWanted && !lacks.holds(trace);
}

/** Returns whether a library needs what it names for this program. */
function isNeededThrough(
  { by, trace, isSearched }: Named,
  owner: InstalledPackage,
  related: Related,
  context: AdviceContext,
): boolean {
  const { packages, parts } = context;
  const own = parts.ownersOfLibrary(by.path);
  if (own.includes(owner)) return true;
  if (packages === undefined) return false;
  const { database, families } = packages;
  if (families.dependencies(own, Number.POSITIVE_INFINITY, true).has(owner)) return true;
  // What a library looks for in several places, it does not work without; that of many programs
  // needs it for some of them.
  if (isSearched && related.isOwner(owner) && hasFewPrograms(owner, database)) return true;
  // Modules and data that a library loads for the programs of another package.
  return trace.stat.type === 'directory' && (related.isOwner(owner) || related.isDirect(owner));
}

/**
 * Returns whether a program needs nothing but one other package. A program that starts others needs
 * more of its package than the paths that it names, and modules may need more than their package.
 */
function suffices({ by, owner }: Wanted, program: AdvisedProgram, context: AdviceContext): boolean {
  const { parts } = context;
  return (
    (by === program.trace || parts.isOfSource(by.path, program.sources)) &&
    !program.owners.includes(owner) &&
    !hasModules(context.filesOf(owner)) &&
    !program.owners.some((own) => hasData(context.filesOf(own))) &&
    !program.startsOthers
  );
}

/** Returns whether a package has run-time files other than programs and configuration. */
function hasData(listed: readonly string[]): boolean {
  const directories = new Set(listed.map((file) => file.slice(0, file.lastIndexOf('/'))));
  return listed.some(
    (file) =>
      !directories.has(file) &&
      !PROGRAM.test(file) &&
      !CONFIGURATION.test(file) &&
      !NOISE.test(file) &&
      isRunTimeFile(file),
  );
}

/** How packages are related to those of a program; what takes long is looked up when it is asked. */
class Related {
  readonly #program: AdvisedProgram;
  readonly #packages: HostPackages;
  #all: ReadonlySet<InstalledPackage> | undefined;
  #direct: ReadonlySet<InstalledPackage> | undefined;
  #family: ReadonlySet<InstalledPackage> | undefined;

  constructor(program: AdvisedProgram, packages: HostPackages) {
    this.#program = program;
    this.#packages = packages;
  }

  /** Returns whether the program is of a package. */
  isOwner(other: InstalledPackage): boolean {
    return this.#program.owners.includes(other);
  }

  /** Returns whether the program's packages depend on another one, and not only through others. */
  isDirect(other: InstalledPackage): boolean {
    this.#direct ??= this.#packages.families.dependencies(this.#program.owners, 1, true);
    return this.#direct.has(other);
  }

  /** Returns whether a package is one of the program's, a dependency, or added with them. */
  includes(other: InstalledPackage): boolean {
    if (this.isOwner(other)) return true;
    const { owners, sources } = this.#program;
    const { families } = this.#packages;
    this.#all ??= families.dependencies(owners, Number.POSITIVE_INFINITY, true);
    if (this.#all.has(other)) return true;
    if (!sources.has(sourceOf(other))) return false;
    this.#family ??= families.family(owners);
    return this.#family.has(other);
  }
}
