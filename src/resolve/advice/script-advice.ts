import type { Advice } from '../../manifest/advice.js';
import type { FoundProgram } from '../find-program.js';
import type { OutsideProgram } from '../jail-path.js';
import type { ScriptGap } from '../scripts/script-commands.js';

/** Advice, and how likely it is that the program misses it. */
export interface Weighed {
  readonly weight: number;
  readonly advice: Advice;
}

/** Returns what scripts leave open, a line for each script and kind. */
export function adviceOnScripts(
  requested: readonly FoundProgram[],
  gaps: readonly ScriptGap[],
): Weighed[] {
  const first = new Map<string, ScriptGap>();
  for (const gap of gaps) {
    const key = `${gap.kind} ${gap.kind === 'outside-path' ? gap.text : gap.script}`;
    if (!first.has(key)) first.set(key, gap);
  }
  return [...first.values()].map((gap) => {
    const program = requested.find(({ trace }) => trace.path === gap.script)?.as ?? gap.script;
    return adviceOn(gap, program);
  });
}

function adviceOn(gap: ScriptGap, program: string): Weighed {
  const name = program.slice(program.lastIndexOf('/') + 1);
  const where = `${gap.path === gap.script ? '' : `${gap.path} `}line ${gap.line}`;
  const said = (weight: number, text: string, add: readonly string[] = []): Weighed => {
    return { weight, advice: { id: 'script', program, text: `${name} ${text}`, add } };
  };
  switch (gap.kind) {
    case 'computed':
      return said(2, `computes a command at run time (${where}: ${gap.text}): ${TRACE}`);
    case 'refused':
      return said(3, `cannot be read as a shell script (${gap.path}): ${TRACE}`);
    case 'outside-path':
      return said(4, `runs ${gap.text} (${where}), which is not on the PATH of the jail`, [
        gap.text,
      ]);
  }
}

/** What finds out what no text tells. */
const TRACE = 'record a run with jailbuild trace';

/** Returns a line for each directory that the jail's PATH has for the sake of programs. */
export function adviceOnPath(outside: readonly OutsideProgram[]): Weighed[] {
  return outside.map(({ program, directory }) => {
    const text = `${program} lies in ${directory}, which run and images add to PATH`;
    return { weight: 1, advice: { id: 'path', program, text, add: [] } };
  });
}
