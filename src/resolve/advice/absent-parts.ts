import type { PackageFamilies } from '../../evidence/packages/families.js';
import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import type { Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { hasFewPrograms } from '../packages/named-paths.js';
import type { AbsentFiles } from './absent-files.js';
import { LIBRARY, PROGRAM } from './file-kinds.js';
import type { AskedJail } from './jail-contents.js';
import type { ProgramParts } from './program-parts.js';
import { startsByName } from './shell.js';

const XT = /^libXt\./;
/** Resources of programs by their class (X Toolkit Intrinsics, XtResolvePathname). */
const APP_DEFAULTS = /^\/etc\/X11\/app-defaults\/[^/]+$/;
/** Prefixes that packages share. */
const USUAL_PREFIX = /^\/(usr\/(local\/)?)?s?bin\//;
/** Matches a program whose name is no word of the language. */
const COMPOUND = /[^/]{2}-[^/]{2,}$/;
/** The maximum number of files whose names are looked for in a program. */
const MAX_LOOKED_FOR = 400;

/** What the search for absent parts uses. */
interface Sources {
  readonly database: PackageDatabase;
  readonly families: PackageFamilies;
  readonly jail: AskedJail;
  readonly parts: ProgramParts;
  readonly lacks: AbsentFiles;
}

/** Finds files of a program's packages that it mentions by name alone, and that the jail lacks. */
export class AbsentParts {
  readonly #database: PackageDatabase;
  readonly #families: PackageFamilies;
  readonly #jail: AskedJail;
  readonly #parts: ProgramParts;
  readonly #lacks: AbsentFiles;

  constructor({ database, families, jail, parts, lacks }: Sources) {
    this.#database = database;
    this.#families = families;
    this.#jail = jail;
    this.#parts = parts;
    this.#lacks = lacks;
  }

  /**
   * Returns an absent file whose name is in the program: a file of its own package if that has a
   * prefix of its own, a file of a related package of the same source, or a program that it starts.
   */
  find(
    trace: Trace,
    owners: readonly InstalledPackage[],
  ): { readonly file: string; readonly from: string } | undefined {
    const [own] = owners;
    if (own === undefined) return undefined;
    const candidates: { readonly file: string; readonly from: string }[] = [];
    const note = (owner: InstalledPackage, isWanted: (file: string) => boolean): void => {
      for (const file of this.#database.filesOf(owner) ?? []) {
        if (candidates.length < MAX_LOOKED_FOR && isWanted(file)) {
          candidates.push({ file, from: owner.name });
        }
      }
    };
    if (!USUAL_PREFIX.test(trace.path)) {
      // `PREFIX/bin/PROGRAM`, or `PREFIX/bin/ARCHITECTURE/PROGRAM`.
      const prefix = trace.path.replace(/\/s?bin\/([^/]+\/)?[^/]+$/, '/');
      note(
        own,
        // Programs have words such as `empty` for other reasons.
        (file) =>
          file.startsWith(prefix) && !/\/[a-z]+$/.test(file) && this.#lacks.isAbsentFile(file),
      );
    }
    const { elf, facts } = this.#jail.read(trace);
    const isScript = elf === undefined;
    for (const other of this.#families.companionsOf(owners)) {
      const listed = this.#database.filesOf(other) ?? [];
      // What a source has a package of its own for, without code, it does not work without.
      const isData = !listed.some((file) => LIBRARY.test(file) || PROGRAM.test(file));
      note(other, (file) =>
        // The loader finds libraries, but those that scripts preload.
        isScript && LIBRARY.test(file)
          ? this.#lacks.isAbsent(file)
          : this.#lacks.isAbsentFile(file, isData),
      );
    }
    for (const { file, owner } of isScript ? this.#families.startedBehind(trace) : []) {
      if (this.#lacks.isAbsent(file)) return { file, from: owner.name };
    }
    if (elf?.dynamic?.needed.some((name) => XT.test(name))) {
      note(own, (file) => APP_DEFAULTS.test(file) && this.#lacks.isAbsent(file));
    }
    const commands = this.#parts.commandLinesOf(trace);
    if (commands.length > 0) {
      note(
        own,
        (file) =>
          PROGRAM.test(file) && commands.includes(baseName(file)) && this.#lacks.isAbsent(file),
      );
    }
    if (elf !== undefined && startsByName(facts?.imports ?? [])) {
      const isFew = hasFewPrograms(own, this.#database);
      note(
        own,
        (file) =>
          this.#lacks.isAbsentOriginal(file, trace) ||
          (isFew && COMPOUND.test(file) && this.#lacks.isAbsentProgram(file, trace)),
      );
    }
    for (const other of this.#startable(trace, owners)) {
      note(other, (file) => this.#lacks.isAbsentProgram(file, trace));
    }
    if (candidates.length === 0) return undefined;
    const objects = this.#parts.objectsOf(trace, owners);
    // Linkers merge strings that are ends of others, such as `diff` in `sdiff`.
    const isFew = hasFewPrograms(own, this.#database);
    const isEnd = (file: string) =>
      isFew && PROGRAM.test(file) && baseName(trace.path).endsWith(baseName(file));
    return candidates.find(({ file }) => {
      if (isEnd(file)) return true;
      // Libraries have the names of programs for others, and words that are also such names.
      const named = PROGRAM.test(file) ? [trace] : objects;
      return named.some((object) => this.#parts.mentionsOf(object)(baseName(file)));
    });
  }

  /**
   * Returns the packages of which a program may start others: a script's own, otherwise its
   * dependencies.
   */
  #startable(trace: Trace, owners: readonly InstalledPackage[]): Iterable<InstalledPackage> {
    if (this.#jail.isFollowed(trace.path)) return [];
    if (this.#jail.read(trace).elf === undefined) return owners;
    if (owners.some(({ isEssential }) => isEssential)) return [];
    const { facts } = this.#jail.read(trace);
    if (!startsByName(facts?.imports ?? [])) return [];
    const near = [...this.#families.dependencies(owners, 1, true)];
    return near.filter(({ isEssential }) => !isEssential);
  }
}
