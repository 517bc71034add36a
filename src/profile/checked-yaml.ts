import { type Schema, Validator } from '@cfworker/json-schema';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { type ErrorCode, JailbuildError } from '../errors.js';
import { readTextFile } from '../fs/read-text.js';
import { didYouMean } from '../text/suggest.js';

/** In bytes; jail files and profiles have a few kilobytes. */
const MAX_BYTES = 1 << 20;
/**
 * The maximum number of alias expansions in a document, so that a few lines cannot exhaust memory.
 */
const MAX_ALIASES = 100;

/** Keywords that only repeat errors found in subschemas. */
const PASSING_ON = new Set([
  'properties',
  'patternProperties',
  'additionalProperties',
  'items',
  'prefixItems',
  'propertyNames',
  '$ref',
  'allOf',
  'anyOf',
  'oneOf',
  'if',
]);

interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Reads a YAML file (YAML 1.2, core schema) and checks it against a JSON Schema (draft 2020-12).
 *
 * @param code the code of the errors
 * @returns the value, valid by the schema
 * @throws JailbuildError `code`, with file, line and column; NOT_READABLE
 */
export function readCheckedYaml(path: string, schema: Schema, code: ErrorCode): unknown {
  return checkYaml(readTextFile(path, MAX_BYTES), path, schema, code);
}

/**
 * Returns the position of a value in a YAML file, as `FILE:LINE:COLUMN`, for errors that the schema
 * does not find.
 *
 * @param where the keys and indices that lead to it
 */
export function placeInYaml(path: string, where: readonly string[]): string {
  const lines = new LineCounter();
  const document = parseDocument(readTextFile(path, MAX_BYTES), { lineCounter: lines });
  const { line, col } = lines.linePos(offsetOf(document, where, 'value'));
  return `${path}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
}

/** Does the same as {@link readCheckedYaml} for a text; `path` names it in errors. */
export function checkYaml(text: string, path: string, schema: Schema, code: ErrorCode): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const refuse = (at: Place, message: string): never => {
    throw new JailbuildError(code, `${path}:${at.line}:${at.column}: ${message}`, path);
  };
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };

  const [malformed] = document.errors;
  if (malformed !== undefined) refuse(place(malformed.pos[0]), sentence(malformed.message));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    refuse(place(0), sentence(error instanceof Error ? error.message : String(error)));
  }

  const { errors } = new Validator(schema, '2020-12').validate(value);
  const index = errors.findIndex(({ keyword }) => !PASSING_ON.has(keyword));
  const fault = errors[index];
  if (fault === undefined) {
    const withNul = nulIn(value, []);
    if (withNul === undefined) return value;
    refuse(
      place(offsetOf(document, withNul, 'value')),
      `${keyPath(withNul)} contains a NUL byte: remove it`,
    );
    return undefined;
  }
  const where = steps(fault.instanceLocation);
  if (fault.keyword === 'false') {
    // The validator does not report the position of a `false` schema; its parent has it.
    const map = schemaAt(schema, errors[index - 1]?.keywordLocation ?? '#');
    const key = where.at(-1) ?? '';
    const known = Object.keys(map.properties ?? {});
    refuse(place(offsetOf(document, where, 'key')), `unknown key ${key}${suggestion(key, known)}`);
  }
  refuse(
    place(offsetOf(document, where, 'value')),
    `${keyPath(where)} ${expectation(fault.keyword, schemaAt(schema, fault.keywordLocation), valueAt(value, where))}`,
  );
  return undefined;
}

/** Returns the keys that lead to the first text with a NUL byte, which only the content of a file can have. */
function nulIn(value: unknown, where: readonly string[]): readonly string[] | undefined {
  if (typeof value === 'string') return value.includes('\0') ? where : undefined;
  if (value === null || typeof value !== 'object') return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (key.includes('\0')) return where;
    const found = key === 'content' ? undefined : nulIn(inner, [...where, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function suggestion(key: string, known: readonly string[]): string {
  const near = didYouMean(key, known);
  return near === '' && known.length > 0 ? `; known are ${known.join(', ')}` : near;
}

/** Describes what a value must be, from the keyword that it violates. */
function expectation(keyword: string, schema: Schema, value: unknown): string {
  switch (keyword) {
    case 'type':
      if (schema.type === 'string' && isForm(schema.pattern) && typeof value === 'number') {
        return `is ${described(value)}, but must be ${likeness(schema)}`;
      }
      return `must be ${oneOf([schema.type ?? []].flat().map(typeName))}, but is ${described(value)}`;
    case 'enum':
      return `must be ${oneOf((schema.enum ?? []).map(String))}, but is ${described(value)}`;
    case 'const':
      return `must be ${String(schema.const)}`;
    case 'pattern':
      return `is ${described(value)}, but must be ${likeness(schema)}`;
    case 'required': {
      const has = new Set(Object.keys((value as object | null) ?? {}));
      const missing = (schema.required ?? []).filter((key) => !has.has(key));
      return `lacks ${missing.join(', ')}`;
    }
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return 'must not be empty';
    case 'minimum':
    case 'maximum':
      return `is ${described(value)}, but must be from ${schema.minimum ?? '…'} to ${schema.maximum ?? '…'}`;
    case 'uniqueItems':
      return 'has an item twice';
    case 'dependentRequired':
      return 'lacks what one of its keys requires';
    default:
      return `does not match the schema (${keyword})`;
  }
}

/** Returns whether a pattern requires more than the absence of blanks. */
function isForm(pattern: string | undefined): boolean {
  return pattern !== undefined && !pattern.startsWith('^\\S');
}

/** Describes what a pattern requires: the schema's description, or the common part of several. */
function likeness({ pattern, description }: Schema): string {
  if (pattern !== undefined && /^\^\(?\/(?!\[)/.test(pattern)) return 'an absolute path';
  return description ?? `like ${pattern}`;
}

function oneOf(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

function typeName(type: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    array: 'a list',
    object: 'a map',
    boolean: 'true or false',
    number: 'a number',
    integer: 'a whole number',
    null: 'empty',
  };
  return names[type] ?? type;
}

function described(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return JSON.stringify(value);
}

/** Splits a JSON pointer in a URI fragment (RFC 6901, section 6). */
function steps(location: string): string[] {
  return location
    .split('/')
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Formats a position: `programs[2].name`. */
function keyPath(where: readonly string[]): string {
  if (where.length === 0) return 'the file';
  return where
    .map((step, index) => (/^\d+$/.test(step) ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('');
}

function valueAt(value: unknown, where: readonly string[]): unknown {
  let at = value;
  for (const step of where) at = (at as Record<string, unknown> | undefined)?.[step];
  return at;
}

/** Returns the schema that contains a keyword. */
function schemaAt(root: Schema, keywordLocation: string): Schema {
  let schema = root;
  for (const step of steps(keywordLocation)) {
    const next: unknown = schema[step];
    if (step === '$ref' && typeof next === 'string') schema = schemaAt(root, next);
    else if (isSchema(next)) schema = next;
  }
  return schema;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the position of a value, or of its key; of its parent if it is absent. */
function offsetOf(document: Document, where: readonly string[], of: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = rangeOf(node) ?? 0;
  for (const [index, step] of where.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
      if (pair === undefined) return offset;
      const last = index === where.length - 1;
      offset = rangeOf(pair.key) ?? offset;
      if (!(last && of === 'key')) offset = rangeOf(pair.value) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = rangeOf(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function rangeOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  return (node.range as readonly number[] | null | undefined)?.[0];
}

function sentence(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.charAt(0).toLowerCase() + line.slice(1);
}
