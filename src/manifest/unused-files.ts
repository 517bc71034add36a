import { readTextFile } from '../fs/read-text.js';
import { canonicalList, canonicalValue } from './canonical-json.js';
import { Field, parseJson } from './json-field.js';

/** Names the format and its version; readers refuse versions that they do not know. */
export const UNUSED_SCHEMA = 'jailbuild.unused/1';

/** Files of a jail that no run used, of one package or of none. */
export interface UnusedGroup {
  /** Absent for files that no package owns. */
  readonly package?: string;
  /** The size of all its files in bytes. */
  readonly size: number;
  /** Sorted. */
  readonly paths: readonly string[];
}

/** A run that was observed. */
export interface UnusedRun {
  /** The name of a proof; absent for a single command. */
  readonly name?: string;
  readonly command: readonly string[];
}

/** The files of a jail that no run used. docs/unused.md describes every field. */
export interface UnusedFiles {
  readonly schema: typeof UNUSED_SCHEMA;
  readonly runs: readonly UnusedRun[];
  /** The number of uses that could not be read: files used there may be among the unused ones. */
  readonly incomplete: number;
  /** All regular files of the jail, hard links counted once. */
  readonly total: { readonly files: number; readonly size: number };
  readonly unused: { readonly files: number; readonly size: number };
  /** The largest first. */
  readonly groups: readonly UnusedGroup[];
}

/** In bytes; larger than for a jail of a million files. */
const MAX_BYTES = 1 << 28;

/** Formats unused files as `readUnusedFiles` reads them: one group a line. Ends with a newline. */
export function unusedFilesJson(unused: UnusedFiles): string {
  const { schema, runs, incomplete, total, unused: sum, groups } = unused;
  return [
    '{',
    `  "schema": ${JSON.stringify(schema)},`,
    `  "runs": ${canonicalList(runs)},`,
    `  "incomplete": ${incomplete},`,
    `  "total": ${canonicalValue(total)},`,
    `  "unused": ${canonicalValue(sum)},`,
    `  "groups": ${canonicalList(groups)}`,
    '}\n',
  ].join('\n');
}

/**
 * Reads the output of `prove --unused-file` and checks every field.
 *
 * @throws JailbuildError NOT_READABLE, MANIFEST_INVALID naming file and field
 */
export function readUnusedFiles(file: string): UnusedFiles {
  const root = new Field(parseJson(readTextFile(file, MAX_BYTES), file), file).object();
  const schema = root.member('schema');
  if (schema.string() !== UNUSED_SCHEMA) {
    schema.refuse(`is ${JSON.stringify(schema.value)}, expected ${UNUSED_SCHEMA}`);
  }
  root.only(['schema', 'runs', 'incomplete', 'total', 'unused', 'groups']);
  return {
    schema: UNUSED_SCHEMA,
    runs: root.member('runs').items().map(toRun),
    incomplete: countOf(root.member('incomplete')),
    total: toSum(root.member('total')),
    unused: toSum(root.member('unused')),
    groups: root.member('groups').items().map(toGroup),
  };
}

function countOf(field: Field): number {
  return field.integer(0, Number.MAX_SAFE_INTEGER);
}

function toSum(field: Field): UnusedFiles['total'] {
  const sum = field.object();
  sum.only(['files', 'size']);
  return { files: countOf(sum.member('files')), size: countOf(sum.member('size')) };
}

function toRun(field: Field): UnusedRun {
  const run = field.object();
  run.only(['name', 'command']);
  return {
    ...run.optional('name', (name) => name.string()),
    command: run
      .member('command')
      .items()
      .map((word) => word.string()),
  };
}

function toGroup(field: Field): UnusedGroup {
  const group = field.object();
  group.only(['package', 'size', 'paths']);
  return {
    ...group.optional('package', (name) => name.string()),
    size: countOf(group.member('size')),
    paths: group
      .member('paths')
      .items()
      .map((item) => item.path()),
  };
}
