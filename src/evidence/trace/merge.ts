import { JailbuildError } from '../../errors.js';
import { isSameValue } from '../../manifest/canonical-json.js';
import { FILE_STATES, FILE_USES, type FileUse, type Trace, type TracedFile } from './trace.js';

/**
 * Merges traces of one system: the files that any of the runs used. The order of traces does not
 * matter.
 *
 * @throws JailbuildError TRACE_INVALID for traces of different systems
 */
export function mergeTraces(
  traces: readonly { readonly name: string; readonly trace: Trace }[],
): Trace {
  const [first, ...others] = traces;
  if (first === undefined) throw new Error('no traces to merge');
  for (const { name, trace } of others) {
    if (isSameValue(trace.system, first.trace.system)) continue;
    throw new JailbuildError(
      'TRACE_INVALID',
      `${name}: describes another system than ${first.name}: merge only traces of one system`,
      name,
    );
  }
  const files = new Map<string, TracedFile>();
  for (const { trace } of traces) {
    for (const file of trace.files) {
      const known = files.get(file.path);
      files.set(file.path, known === undefined ? file : united(known, file));
    }
  }
  const homes = traces.flatMap(({ trace }) => trace.homes);
  return {
    schema: first.trace.schema,
    system: first.trace.system,
    homes: [...new Set(homes)].sort(),
    incomplete: traces.reduce((sum, { trace }) => sum + trace.incomplete, 0),
    files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** Merges two records of one file; earlier states in the list take precedence. */
function united(one: TracedFile, other: TracedFile): TracedFile {
  const stronger = FILE_STATES.indexOf(one.state) <= FILE_STATES.indexOf(other.state) ? one : other;
  const programs = [...new Set([...Object.keys(one.uses), ...Object.keys(other.uses)])].sort();
  const uses = programs.map((program): readonly [string, readonly FileUse[]] => {
    const all = new Set([...(one.uses[program] ?? []), ...(other.uses[program] ?? [])]);
    return [program, FILE_USES.filter((use) => all.has(use))];
  });
  // Of two types in the same state, either order gives the same one.
  const types = [one, other]
    .filter(({ state }) => state === stronger.state)
    .map(({ type }) => type);
  const type = types.filter((item) => item !== undefined).sort()[0];
  return {
    path: stronger.path,
    state: stronger.state,
    ...(type === undefined ? {} : { type }),
    uses: Object.fromEntries(uses),
  };
}
