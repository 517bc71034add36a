import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { Advice } from '../../manifest/advice.js';
import { baseName } from '../../text/base-name.js';
import type { FoundProgram } from '../find-program.js';
import type { OutsideProgram } from '../jail-path.js';
import type { ScriptGap } from '../scripts/script-commands.js';

/** Advice, and how likely it is that the program lacks something. */
export interface Weighed {
  readonly weight: number;
  readonly advice: Advice;
}

/** A program of a script's own package. */
export interface OwnProgram {
  readonly path: string;
  /** The name of the package. */
  readonly from: string;
}

/**
 * Returns advice on the gaps of scripts: for each requested script a line for each kind, and one
 * for all others.
 *
 * @param ownProgramIn returns the program that a computed command probably is
 */
export function adviceOnScripts(
  probe: Sysroot,
  requested: readonly FoundProgram[],
  gaps: readonly ScriptGap[],
  ownProgramIn: (gap: ScriptGap) => OwnProgram | undefined,
): Weighed[] {
  const first = new Map<string, ScriptGap>();
  const polyglots = new Map<string, boolean>();
  for (const gap of gaps) {
    const isPolyglot = polyglots.get(gap.path) ?? runsItself(probe, gap.path);
    polyglots.set(gap.path, isPolyglot);
    if (gap.kind === 'computed' && isPolyglot) continue;
    const isRequested = requested.some(({ trace }) => trace.path === gap.script);
    const script = isRequested ? gap.script : '';
    const key = `${gap.kind} ${gap.kind === 'outside-path' ? gap.text : script}`;
    if (!first.has(key)) first.set(key, gap);
  }
  return [...first.values()].map((gap) => {
    const program = requested.find(({ trace }) => trace.path === gap.script)?.as ?? gap.script;
    const own = gap.kind === 'computed' ? ownProgramIn(gap) : undefined;
    if (own === undefined) return adviceOn(gap, program, probe);
    const text = `${baseName(program)} may run ${own.path}, from ${own.from}`;
    return { weight: 4, advice: { id: 'script', program, text, add: ['--with-package'] } };
  });
}

/** Matches a command that passes a script to another interpreter, on one of its first lines. */
const RUNS_ITSELF = /^(?:.*\n){0,40}?\s*exec\s+[^#\n]*["' ]\$\{?0\b/;

/**
 * Returns whether a shell script passes itself to an interpreter of another language, in which the
 * rest of it is.
 */
function runsItself(probe: Sysroot, script: string): boolean {
  const trace = probe.trace(script);
  if (!isTrace(trace) || trace.stat.type !== 'file') return false;
  return RUNS_ITSELF.test(probe.readText(trace));
}

function adviceOn(gap: ScriptGap, program: string, probe: Sysroot): Weighed {
  const name = baseName(program);
  const where = `${gap.path === gap.script ? '' : `${gap.path} `}line ${gap.line}`;
  const said = (weight: number, text: string, add: readonly string[] = []): Weighed => {
    return { weight, advice: { id: 'script', program, text: `${name} ${text}`, add } };
  };
  switch (gap.kind) {
    case 'computed': {
      const text = `computes a command at run time (${where}: ${gap.text})`;
      const prefix = ownPrefix(probe, gap.path);
      return prefix === undefined
        ? said(2, `${text}: ${TRACE}`)
        : said(4, text, ['--include', prefix]);
    }
    case 'refused':
      return said(3, `cannot be read as a shell script (${gap.path}): ${TRACE}`);
    case 'outside-path':
      return said(4, `runs ${gap.text} (${where}), which is not on the PATH of the jail`, [
        gap.text,
      ]);
  }
}

/** Limits in bytes and entries of a tool that is added as a whole. */
const MAX_TREE = 64 << 20;
const MAX_ENTRIES = 4_000;
/** Directories of a system or user that contain many tools. */
const SHARED_PREFIX = /^(\/usr(\/local)?|\/opt|\/root|\/home\/[^/]*|\/snap|\/tmp|\/var\/tmp|)$/;

/** Returns the directory of a tool that has its own, such as `PREFIX/bin/tool`, if it is small. */
function ownPrefix(probe: Sysroot, script: string): string | undefined {
  const [, prefix = ''] = /^(.*)\/(?:s?bin|shims|libexec)\/[^/]+$/.exec(script) ?? [];
  if (SHARED_PREFIX.test(prefix)) return undefined;
  return isSmall(probe, prefix) ? prefix : undefined;
}

function isSmall(probe: Sysroot, directory: string): boolean {
  const open = [directory];
  let bytes = 0;
  let entries = 0;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const found = probe.trace(at);
    if (!isTrace(found) || found.links.length > 0) continue;
    if (found.stat.type === 'file') bytes += found.stat.size;
    if (++entries > MAX_ENTRIES || bytes > MAX_TREE) return false;
    if (found.stat.type === 'directory') {
      open.push(...probe.list(found).map((name) => `${found.path}/${name}`));
    }
  }
  return true;
}

/** The remedy for what the text does not determine. */
const TRACE = 'record a run with jailbuild trace';

/** Returns a line for each directory that was added to the jail's PATH for its programs. */
export function adviceOnPath(outside: readonly OutsideProgram[]): Weighed[] {
  return outside.map(({ program, directory }) => {
    const text = `${program} is in ${directory}, which run and images add to PATH`;
    return { weight: 1, advice: { id: 'path', program, text, add: [] } };
  });
}
