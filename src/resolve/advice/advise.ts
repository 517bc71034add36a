import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import { AdvisedProgram, addsPackage } from './advised-program.js';
import {
  adviseOnCommandLines,
  adviseOnNamedPrograms,
  adviseOnOriginal,
  adviseOnShell,
} from './commands.js';
import type { AdviceContext } from './context.js';
import {
  adviseOnAuthentication,
  adviseOnCertificates,
  adviseOnCharsets,
  adviseOnFonts,
  adviseOnMadeConfiguration,
  adviseOnModules,
  adviseOnOwnModules,
  adviseOnProviders,
} from './library-files.js';
import { adviseOnOwnDirectory } from './own-directory.js';
import { adviseOnAbsentPart, adviseOnMadeData, adviseOnNamedData } from './package-data.js';
import type { Weighed } from './script-advice.js';
import { interpretersOf, wrappedBy } from './script-programs.js';
import { adviseOnSecrets, adviseOnServerConfiguration, adviseOnUsers } from './servers.js';

/** Adds advice on one way in which a program may lack something. */
type Rule = (program: AdvisedProgram, context: AdviceContext) => void;

/** What the program's packages have for it: the first rule that finds something suffices. */
const PACKAGE_RULES: readonly Rule[] = [
  adviseOnNamedData,
  adviseOnMadeData,
  adviseOnAbsentPart,
  adviseOnOwnModules,
  adviseOnServerConfiguration,
  adviseOnOwnDirectory,
];
/** What no package has. */
const HOST_RULES: readonly Rule[] = [adviseOnCertificates, adviseOnSecrets];
/** What --with-package adds too: nothing more is said once that is advised. */
const PART_RULES: readonly Rule[] = [
  adviseOnModules,
  adviseOnAuthentication,
  adviseOnFonts,
  adviseOnShell,
  adviseOnNamedPrograms,
  adviseOnCommandLines,
  adviseOnOriginal,
  adviseOnMadeConfiguration,
  adviseOnCharsets,
  adviseOnProviders,
  adviseOnUsers,
];

/** Returns the advice on a program, its interpreters and what it wraps, in no order. */
export function adviceOnProgram(program: FoundProgram, context: AdviceContext): readonly Weighed[] {
  const own = withoutShells(adviceOnFile(program, context));
  // --with-package adds the interpreter of a script too.
  if (own.some(addsPackage)) return own;
  return [
    ...own,
    ...adviceOnInterpreters(program, context),
    ...wrappedBy(program, context).flatMap((wrapped) => [
      ...adviceOnFile(wrapped, context),
      ...adviceOnInterpreters(wrapped, context),
    ]),
  ];
}

function adviceOnFile(found: FoundProgram, context: AdviceContext): readonly Weighed[] {
  const program = new AdvisedProgram(found, context);
  if (program.isStatic) {
    // Static programs are made to need nothing but what their packages have for them.
    adviseOnOwnDirectory(program, context);
    return program.found;
  }
  for (const rule of PACKAGE_RULES) {
    if (program.found.length === 0) rule(program, context);
  }
  for (const rule of HOST_RULES) rule(program, context);
  for (const rule of PART_RULES) {
    if (!program.isBrought) rule(program, context);
  }
  return program.found;
}

/** Returns the advice on modules of a script's interpreters, attributed to the script. */
function adviceOnInterpreters(script: FoundProgram, context: AdviceContext): Weighed[] {
  return interpretersOf(script, context).flatMap((interpreter) =>
    adviceOnFile(interpreter, context)
      .filter(({ advice }) => advice.id === 'data' && !advice.add.includes('--include'))
      .map(({ weight, advice }) => {
        const text = `${baseName(script.as)} is run by ${advice.text.replace(' names', ', which names')}`;
        return { weight, advice: { ...advice, program: script.as, text } };
      }),
  );
}

/** Leaves out advice to add only a shell that other advice adds with more. */
function withoutShells(found: readonly Weighed[]): readonly Weighed[] {
  const others = found.filter(({ advice }) => advice.id !== 'shell');
  const added = new Set(others.flatMap(({ advice }) => advice.add));
  return found.filter(
    ({ advice }) => advice.id !== 'shell' || !advice.add.every((one) => added.has(one)),
  );
}
