import { JailbuildError } from '../../errors.js';
import { readTextFile } from '../../fs/read-text.js';
import { canonicalValue } from '../../manifest/canonical-json.js';
import { Field, parseJson } from '../../manifest/json-field.js';
import {
  FILE_STATES,
  FILE_USES,
  type FileState,
  type FileUse,
  TRACE_SCHEMA,
  type Trace,
  type TracedFile,
  type TracedSystem,
} from './trace.js';

/** In bytes; larger than a trace of a million files. */
const MAX_BYTES = 1 << 29;
const FILE_TYPES = [
  'directory',
  'file',
  'symlink',
  'character-device',
  'block-device',
  'fifo',
  'socket',
] as const;

/** Formats a trace as text, one file a line; equal traces give equal bytes. Ends with a newline. */
export function traceJson({ schema, system, homes, incomplete, files }: Trace): string {
  return [
    '{',
    `  "schema": ${JSON.stringify(schema)},`,
    `  "system": ${canonicalValue(system)},`,
    `  "homes": ${canonicalValue(homes)},`,
    `  "incomplete": ${incomplete},`,
    files.length === 0 ? '  "files": []' : '  "files": [',
    ...(files.length === 0
      ? []
      : [files.map((file) => `    ${canonicalValue(file)}`).join(',\n'), '  ]']),
    '}\n',
  ].join('\n');
}

/**
 * Reads a trace from a file and checks every field.
 *
 * @throws JailbuildError NOT_READABLE, TRACE_INVALID naming file and field
 */
export function readTrace(file: string): Trace {
  const text = readTextFile(file, MAX_BYTES);
  try {
    return toTrace(new Field(parseJson(text, file), file));
  } catch (error) {
    if (!(error instanceof JailbuildError) || error.code !== 'MANIFEST_INVALID') throw error;
    throw new JailbuildError('TRACE_INVALID', error.message, file);
  }
}

function toTrace(field: Field): Trace {
  const root = field.object();
  const schema = root.member('schema');
  if (schema.string() !== TRACE_SCHEMA) {
    schema.refuse(`is ${JSON.stringify(schema.value)}, expected ${TRACE_SCHEMA}`);
  }
  root.only(['schema', 'system', 'homes', 'incomplete', 'files']);
  const files = root.member('files').items().map(toFile);
  return {
    schema: TRACE_SCHEMA,
    system: toSystem(root.member('system')),
    homes: root
      .member('homes')
      .items()
      .map((item) => item.path()),
    incomplete: root.member('incomplete').integer(0, Number.MAX_SAFE_INTEGER),
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

function toSystem(field: Field): TracedSystem {
  const object = field.object();
  object.only(['id', 'version', 'machine']);
  return {
    ...object.optional('id', (id) => id.string()),
    ...object.optional('version', (version) => version.string()),
    machine: object.member('machine').string(),
  };
}

function toFile(field: Field): TracedFile {
  const object = field.object();
  object.only(['path', 'state', 'type', 'uses']);
  const place = object.member('path');
  return {
    path: place.value === '/' ? '/' : place.path(),
    state: oneOf<FileState>(object.member('state'), FILE_STATES),
    ...object.optional('type', (type) => oneOf(type, FILE_TYPES)),
    uses: toUses(object.member('uses')),
  };
}

function toUses(field: Field): Readonly<Record<string, readonly FileUse[]>> {
  const object = field.object();
  return Object.fromEntries(
    object.names().map((program) => [
      program,
      object
        .member(program)
        .items()
        .map((item) => oneOf<FileUse>(item, FILE_USES)),
    ]),
  );
}

function oneOf<T extends string>(field: Field, words: readonly T[]): T {
  const word = field.string();
  return (words as readonly string[]).includes(word)
    ? (word as T)
    : field.refuse(`is ${JSON.stringify(word)}, expected one of ${words.join(', ')}`);
}
