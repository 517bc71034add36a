import { sourceOf } from '../../evidence/packages/package.js';
import { isTrace, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import type { ScriptGap } from '../scripts/script-commands.js';
import { PROGRAM } from '../usage/file-kinds.js';
import { languageOf } from '../usage/hints.js';
import { isShell } from '../usage/shell.js';
import type { AdviceContext } from './context.js';
import type { OwnProgram } from './script-advice.js';

/** Returns the interpreters of a script other than shells. */
export function interpretersOf(
  { trace }: FoundProgram,
  { probe, jail }: AdviceContext,
): FoundProgram[] {
  if (jail.read(trace).elf !== undefined) return [];
  const interpreters = new Set([
    ...jail.runBy(trace.path, 'shebang', 'env').filter((path) => !isShell(path)),
    // A shell script may run an interpreter on itself.
    ...jail.runBy(trace.path, 'command').filter((path) => languageOf(path) !== undefined),
  ]);
  const found = [...interpreters].map((path) => probe.trace(path)).filter(isTrace);
  return found.map((interpreter) => ({ as: interpreter.path, trace: interpreter }));
}

/** Returns the programs of a shell script's own source package that it runs, as wrappers do. */
export function wrappedBy({ trace }: FoundProgram, context: AdviceContext): FoundProgram[] {
  const { probe, packages, jail } = context;
  if (packages === undefined || !jail.isFollowed(trace.path)) return [];
  const sources = new Set(context.ownersOf(trace).map(sourceOf));
  const isOwn = (program: Trace) =>
    context.ownersOf(program).some((owner) => sources.has(sourceOf(owner)));
  return jail.runBy(trace.path, 'command').flatMap((path) => {
    const found = probe.trace(path);
    return isTrace(found) && isOwn(found) ? [{ as: path, trace: found }] : [];
  });
}

/**
 * Returns the absent program of a script's own package whose name is among the words of a computed
 * command: `rcs` for `"$directory"rcs ci`.
 */
export function ownProgramIn(
  { script, text }: ScriptGap,
  context: AdviceContext,
): OwnProgram | undefined {
  const trace = context.probe.trace(script);
  if (!isTrace(trace)) return undefined;
  const words = new Set(text.match(/[A-Za-z][\w.+-]+/g) ?? []);
  const isNamed = (file: string) =>
    PROGRAM.test(file) && words.has(baseName(file)) && context.lacks.isAbsent(file);
  for (const owner of context.ownersOf(trace)) {
    const path = context.filesOf(owner).find(isNamed);
    if (path !== undefined) return { path, from: owner.name };
  }
  return undefined;
}
