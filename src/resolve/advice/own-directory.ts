import { isRunTimeFile } from '../../evidence/packages/run-time-files.js';
import { baseName } from '../../text/base-name.js';
import { NOISE } from '../usage/file-kinds.js';
import type { AdvisedProgram } from './advised-program.js';
import type { AdviceContext } from './context.js';

/** Matches a file in a directory of its package. */
const OWN_DIRECTORY = /^(\/usr\/(?:share|lib|libexec)\/(?:[^/]+-linux-[^/]+\/)?([^/]+))\/./;
/** Matches a version at the end of a name. */
const VERSION = /[-.]?\d[\d.]*$/;

/**
 * Advises on a directory of a program's own package that has its name, for programs of which it is
 * not known what they name: scripts in a language with modules, and static programs.
 */
export function adviseOnOwnDirectory(program: AdvisedProgram, context: AdviceContext): void {
  const isKnown = program.elf === undefined ? program.isFollowed : !program.isStatic;
  if (isKnown) return;
  const names = new Set(
    [program.as, program.trace.path].map((path) => baseName(path).replace(VERSION, '')),
  );
  for (const owner of program.owners) {
    if (owner.isEssential) continue;
    for (const file of context.filesOf(owner)) {
      const [, directory, own = ''] = OWN_DIRECTORY.exec(file) ?? [];
      if (directory === undefined || !names.has(own.replace(VERSION, ''))) continue;
      if (NOISE.test(file) || !isRunTimeFile(file) || !context.lacks.isAbsent(file)) continue;
      const text = `${program.name} may need ${directory}, from ${owner.name}`;
      program.add(3, 'data', text, ['--with-package']);
      return;
    }
  }
}
