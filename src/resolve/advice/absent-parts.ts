import type { PackageFamilies } from '../../evidence/packages/families.js';
import { type InstalledPackage, sourceOf } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import { LIBRARY, PROGRAM } from '../usage/file-kinds.js';
import { hasFewPrograms } from '../usage/package-programs.js';
import { startsByName } from '../usage/shell.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext } from './context.js';

const XT = /^libXt\./;
/** Resources of programs by their class (X Toolkit Intrinsics, XtResolvePathname). */
const APP_DEFAULTS = /^\/etc\/X11\/app-defaults\/[^/]+$/;
/** Prefixes that packages share. */
const USUAL_PREFIX = /^\/(usr\/(local\/)?)?s?bin\//;
/** Matches a program whose name is no word of the language. */
const COMPOUND = /[^/]{2}-[^/]{2,}$/;
/** The maximum number of files whose names are looked for in a program. */
const MAX_LOOKED_FOR = 400;

/** A file of a package. */
interface Part {
  readonly file: string;
  /** The name of the package. */
  readonly from: string;
}

/**
 * Returns an absent file whose name is in the program: a file of its own package if that has a
 * prefix of its own, a file of a related package of the same source, or a program that it starts.
 */
export function absentPart(program: AdvisedProgram, context: AdviceContext): Part | undefined {
  const { probe, packages, parts, lacks } = context;
  const { trace, owners, elf, imports } = program;
  const [own] = owners;
  if (own === undefined || packages === undefined) return undefined;
  const { database, families } = packages;
  const candidates: Part[] = [];
  const note = (owner: InstalledPackage, isWanted: (file: string) => boolean): void => {
    for (const file of context.filesOf(owner)) {
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
      (file) => file.startsWith(prefix) && !/\/[a-z]+$/.test(file) && lacks.isAbsentFile(file),
    );
  }
  const isScript = elf === undefined;
  for (const other of families.companionsOf(owners)) {
    const listed = context.filesOf(other);
    // What a source has a package of its own for, without code, it does not work without; of
    // configuration, what has its name.
    const isData = !listed.some((file) => LIBRARY.test(file) || PROGRAM.test(file));
    const names = [program.name, own.name, sourceOf(own)];
    const isNamesake = (file: string) => names.some((name) => file.includes(name));
    note(other, (file) =>
      // The loader finds libraries, but those that scripts preload.
      isScript && LIBRARY.test(file)
        ? lacks.isAbsent(file)
        : lacks.isAbsentFile(file, isData && isNamesake(file)),
    );
  }
  for (const { file, owner } of isScript ? families.startedBehind(trace) : []) {
    if (lacks.isAbsent(file)) return { file, from: owner.name };
  }
  if (elf?.dynamic?.needed.some((name) => XT.test(name))) {
    note(own, (file) => APP_DEFAULTS.test(file) && lacks.isAbsent(file));
  }
  const commands = parts.commandLinesOf(trace);
  if (commands.length > 0) {
    note(
      own,
      (file) => PROGRAM.test(file) && commands.includes(baseName(file)) && lacks.isAbsent(file),
    );
  }
  if (elf !== undefined && startsByName(imports)) {
    const isFew = hasFewPrograms(own, database);
    note(
      own,
      (file) =>
        lacks.isAbsentOriginal(file, trace) ||
        (isFew && COMPOUND.test(file) && lacks.isAbsentProgram(file, trace)),
    );
  }
  for (const other of startable(program, families)) {
    note(other, (file) => lacks.isAbsentProgram(file, trace));
  }
  if (candidates.length === 0) return undefined;
  // Linkers merge strings that are ends of others, such as `diff` in `sdiff`.
  const isFew = hasFewPrograms(own, database);
  const isEnd = (file: string) =>
    isFew && PROGRAM.test(file) && baseName(trace.path).endsWith(baseName(file));
  return candidates.find(({ file }) => {
    if (isEnd(file)) return true;
    // Libraries have the names of programs for others, and words that are also such names.
    const isStarted = PROGRAM.test(file) || (!program.startsOthers && isExecutable(file, probe));
    const named = isStarted ? [trace] : program.objects;
    return named.some((object) => parts.mentionsOf(object)(baseName(file)));
  });
}

/**
 * Returns the packages of which a program may start others: a script's own, otherwise its
 * dependencies.
 */
function startable(
  program: AdvisedProgram,
  families: PackageFamilies,
): readonly InstalledPackage[] {
  if (program.isFollowed) return [];
  if (program.elf === undefined) return program.owners;
  if (program.isEssential || !startsByName(program.imports)) return [];
  const near = [...families.dependencies(program.owners, 1, true)];
  return near.filter(({ isEssential }) => !isEssential);
}

/** Returns whether a file is one that programs start. */
function isExecutable(file: string, probe: Sysroot): boolean {
  const found = probe.trace(file);
  return isTrace(found) && (found.stat.mode & 0o111) !== 0;
}
