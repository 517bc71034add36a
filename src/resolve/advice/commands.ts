import { PROGRAM } from '../usage/file-kinds.js';
import { essentialCommands, originalOf } from '../usage/named-paths.js';
import {
  isShell,
  runsCommandLines,
  SYSTEM_SHELL,
  startedShell,
  startsByName,
  startsOwnChoice,
} from '../usage/shell.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext } from './context.js';

/**
 * Sections of programs that carry out commands of their user, some of which run a shell (Debian
 * policy, 2.4): `!` in ed and dc.
 */
const INTERPRETING: ReadonlySet<string> = new Set(['interpreters', 'editors', 'math']);

/** The section of shells and their tools, which carry out commands themselves (Debian policy, 2.4). */
const SHELLS = 'shells';

/** Advises on the shell that a program starts, itself or through a library. */
export function adviseOnShell(program: AdvisedProgram, context: AdviceContext): void {
  const shell = shellOf(program) ?? shellOfLibraries(program, context);
  if (shell === undefined || context.lacks.has(shell)) return;
  const text = `${program.name} may run commands through ${shell}, which the jail lacks`;
  program.add(1, 'shell', text, [shell]);
}

/** Returns the shell that a program starts; none for shells themselves. */
function shellOf({
  trace,
  imports,
  named,
  owners,
  isEssential,
}: AdvisedProgram): string | undefined {
  if (isShell(trace.path) || owners.some(({ section }) => section === SHELLS)) return undefined;
  // Libraries name the shell for all programs that load them.
  const own = named.filter(({ by }) => by === trace);
  const shell = startedShell(imports, own);
  if (shell === undefined) return undefined;
  // A basic tool that does not choose programs itself runs what its user specifies: chroot, split
  // --filter.
  if (isEssential && !startsOwnChoice(imports)) return undefined;
  // In most programs system(3) serves a rare command, and in interpreters their scripts.
  const isNamed = named.some(({ name }) => isShell(name));
  const interprets = owners.some(({ section }) => INTERPRETING.has(section ?? ''));
  return isNamed || interprets ? shell : undefined;
}

/**
 * Returns the shell that a library of a program's own source package starts for command lines that
 * are in its data: it does so for this program above all.
 */
function shellOfLibraries(program: AdvisedProgram, { parts }: AdviceContext): string | undefined {
  const [, ...libraries] = program.objects;
  const runs = libraries.some(
    (library) =>
      parts.isOfSource(library.path, program.sources) && parts.commandLinesOf(library).length > 0,
  );
  return runs ? SYSTEM_SHELL : undefined;
}

/**
 * Advises on programs of dependencies, and of every system, that a program names by path and may
 * start. Shells are advised as such.
 */
export function adviseOnNamedPrograms(program: AdvisedProgram, context: AdviceContext): void {
  const { packages, lacks } = context;
  // The commands of scripts are added.
  if (packages === undefined || program.isFollowed || !program.startsOthers) return;
  const absent = program.named.filter(
    ({ name, trace, by }) =>
      by === program.trace && PROGRAM.test(trace.path) && !isShell(name) && !lacks.isThere(trace),
  );
  if (absent.length === 0) return;
  const near = packages.families.dependencies(program.owners, 1, true);
  const byPath = packages.database.ownersOf(absent.map(({ trace }) => trace.path));
  const paths = absent.flatMap(({ name, trace }) => {
    const among = byPath.get(trace.path) ?? [];
    const mayStart = among.some((item) =>
      item.isEssential ? !program.isEssential : near.has(item),
    );
    return mayStart ? [name] : [];
  });
  if (paths.length === 0) return;
  program.add(2, 'commands', `${program.name} may run ${paths.join(', ')}`, paths);
}

/** Advises on essential programs whose command lines are in the program's data. */
export function adviseOnCommandLines(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, jail, parts, lacks } = context;
  const { trace, imports } = program;
  if (packages === undefined || !runsCommandLines(imports)) return;
  const words = parts.commandLinesOf(trace);
  const found = essentialCommands(probe, trace, words, packages.database);
  const names = [...found].filter(([, { path }]) => !jail.has(path)).map(([command]) => command);
  if (names.length === 0) return;
  const shell = lacks.has(SYSTEM_SHELL) ? [] : [SYSTEM_SHELL];
  const text = `${program.name} may run ${names.join(', ')} through ${SYSTEM_SHELL}`;
  program.add(1, 'commands', text, [...names, ...shell]);
}

/**
 * Advises on an essential program of which a program is a variant, according to its name, and which
 * it may start by name: `diff` for `wdiff`.
 */
export function adviseOnOriginal(program: AdvisedProgram, context: AdviceContext): void {
  const { probe, packages, jail } = context;
  if (packages === undefined || program.isEssential || !startsByName(program.imports)) return;
  const original = originalOf(probe, program.name, packages.database);
  if (original === undefined || jail.has(original.path)) return;
  program.add(2, 'commands', `${program.name} may run ${original.path}`, [original.path]);
}
