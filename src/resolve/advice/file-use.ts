import { unmerged } from '../../evidence/packages/aliases.js';
import type { InstalledPackage } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { MANY } from '../usage/library-modules.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext } from './context.js';

/** The maximum number of files of a directory that are looked at for what it is for. */
const MAX_BELOW = 200;
/** The maximum size in bytes of configuration that may consist of comments only. */
const MAX_SETTINGS = 64 << 10;
/** The set-user-ID and set-group-ID bits of a mode, which have no effect in jails (no_new_privs). */
const SET_ID = 0o6000;

/** Who names a path. */
interface User {
  readonly program: AdvisedProgram;
  /** The object of the program that contains the path. */
  readonly by: Trace;
}

/**
 * Returns whether a program has a use for what a package has at a path. It has none for a
 * directory in which the package has no file, since that is for files that programs make or that
 * other packages add; none for programs in directories unless it starts some; none for a program that
 * works only with the rights of another user; and none for modules of an interpreter's scripts.
 */
export function hasUse(
  { path, stat }: Trace,
  owner: InstalledPackage,
  { program, by }: User,
  { probe, packages }: AdviceContext,
): boolean {
  if (stat.type !== 'directory') {
    if ((stat.mode & SET_ID) !== 0) return false;
    // Libraries start programs for some of those that load them.
    return by === program.trace || (stat.mode & 0o111) === 0 || program.startsOthers;
  }
  const directory = `${unmerged(path)}/`;
  const below = packages?.database
    .filesOf(owner)
    ?.filter((file) => unmerged(file).startsWith(directory));
  if (below === undefined) return true;
  const files = below.slice(0, MAX_BELOW).flatMap((file) => {
    const found = probe.trace(file);
    return isTrace(found) && found.stat.type !== 'directory' ? [found] : [];
  });
  if (files.length === 0 || below.length > MAX_BELOW) return below.length > MAX_BELOW;
  if (files.length < MANY && isOfScripts(files, program)) return false;
  return program.startsOthers || files.some((file) => (file.stat.mode & 0o111) === 0);
}

/** Returns whether files are modules of an interpreter, which its scripts load. */
function isOfScripts(files: readonly Trace[], { owners }: AdvisedProgram): boolean {
  return (
    owners.some(({ section }) => section === 'interpreters') &&
    files.every((file) => file.path.endsWith('.so'))
  );
}

/** Returns whether a configuration file has more than comments, which say what the defaults are. */
export function hasSettings(probe: Sysroot, file: Trace): boolean {
  if (file.stat.size > MAX_SETTINGS) return true;
  return probe
    .readText(file)
    .split('\n')
    .some((line) => /^\s*[^\s#;!"%/-]/.test(line));
}
