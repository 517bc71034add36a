import type { PackageFamilies } from '../../evidence/packages/families.js';
import { type PackageDatabase, sourceOf } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { FoundProgram } from '../find-program.js';
import { languageOf } from '../usage/hints.js';
import { scriptMentions } from '../usage/named-paths.js';
import { PROGRAM } from '../usage/package-programs.js';
import type { ClosureSoFar } from './closure-so-far.js';

interface Sources {
  readonly sysroot: Sysroot;
  readonly closure: ClosureSoFar;
  readonly families: PackageFamilies;
  readonly database: PackageDatabase;
}

/**
 * Returns the programs of a shell script's own packages that it mentions, those of its source
 * package and the interpreters that it runs, and scripts in other languages of its dependencies.
 */
export function wrappedBy(
  { trace }: FoundProgram,
  { sysroot, closure, families, database }: Sources,
): FoundProgram[] {
  const mentions = scriptMentions(sysroot, trace);
  const owners = families.ownersOf(trace);
  const own = owners.flatMap((owner) => database.filesOf(owner) ?? []);
  const mentioned = own.filter((file) => {
    const [, name] = PROGRAM.exec(file) ?? [];
    return name !== undefined && mentions(name);
  });
  const sources = new Set(owners.map(sourceOf));
  const near = families.dependencies(owners, 1, true);
  const commands = [...commandsOf(trace.path, closure)];
  const byPath = database.ownersOf(commands);
  const others = commands.filter((path) => {
    const among = byPath.get(path) ?? [];
    if (languageOf(path) !== undefined) return true;
    if (among.some((owner) => sources.has(sourceOf(owner)))) return true;
    const isInLanguage = closure
      .runBy(path, 'shebang', 'env')
      .some((interpreter) => languageOf(interpreter) !== undefined);
    return isInLanguage && among.some((owner) => near.has(owner));
  });
  return [...new Set([...mentioned, ...others])].flatMap((path) => {
    const found = sysroot.trace(path);
    const isOther = isTrace(found) && found.path !== trace.path && closure.has(found.path);
    return isOther ? [{ as: path, trace: found }] : [];
  });
}

/** Returns the commands of a shell script, and of the files that it sources. */
function commandsOf(script: string, closure: ClosureSoFar): Set<string> {
  const scripts = new Set([script]);
  const commands = new Set<string>();
  for (const path of scripts) {
    for (const source of closure.runBy(path, 'sourced')) scripts.add(source);
    for (const command of closure.runBy(path, 'command')) commands.add(command);
  }
  return commands;
}
