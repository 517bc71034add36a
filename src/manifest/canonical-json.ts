import type { Entry, Manifest } from './manifest.js';

/** The order of keys; others follow alphabetically. */
const KEY_ORDER = [
  'schema',
  'request',
  'path',
  'type',
  'mode',
  'uid',
  'gid',
  'size',
  'mtime',
  'target',
  'hardlink',
  'major',
  'minor',
  'digest',
  'content',
  'source',
  'xattrs',
  'reasons',
];

/**
 * Formats a manifest: fixed order of keys, one entry per line, so that equal manifests have equal bytes
 * and diff(1) shows readable differences. Ends with a newline.
 */
export function canonicalJson(manifest: Manifest): string {
  return [...canonicalParts(manifest)].join('');
}

/** Yields the text of {@link canonicalJson} in parts, so that that of a large jail need not be in memory at once. */
export function* canonicalParts(manifest: Manifest): Generator<string> {
  const { schema, request, environment, entries, missing, warnings, hints, advice } = manifest;
  yield `{\n  "schema": ${JSON.stringify(schema)},\n  "request": ${canonicalValue(request)},\n`;
  if (environment !== undefined) yield `  "environment": ${canonicalValue(environment)},\n`;
  yield '  "entries": ';
  yield* listParts(entries satisfies readonly Entry[]);
  yield `,\n  "missing": ${canonicalList(missing)},\n  "warnings": ${canonicalList(warnings)}`;
  if (hints !== undefined) yield `,\n  "hints": ${canonicalList(hints)}`;
  if (advice !== undefined) yield `,\n  "advice": ${canonicalList(advice)}`;
  yield '\n}\n';
}

/** Formats the list of a document, one item per line. */
export function canonicalList(items: readonly unknown[]): string {
  return [...listParts(items)].join('');
}

function* listParts(items: readonly unknown[]): Generator<string> {
  if (items.length === 0) {
    yield '[]';
    return;
  }
  const shared: Shared = { value: undefined, text: '' };
  yield '[\n';
  for (let first = 0; first < items.length; first += A_PART) {
    const part = items.slice(first, first + A_PART);
    const lines = part.map((item) => `    ${valueText(item, shared)}`).join(',\n');
    yield first + A_PART < items.length ? `${lines},\n` : lines;
  }
  yield '\n  ]';
}

/** Number of lines of a list that are joined at once. */
const A_PART = 1024;

/** A member that consecutive items of a list share, such as the reasons of included files, with its text. */
interface Shared {
  value: unknown;
  text: string;
}

/** Returns whether two values have the same canonical form. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return canonicalValue(a) === canonicalValue(b);
}

/** Formats a value on one line, with the keys of its objects in the order of a manifest. */
export function canonicalValue(value: unknown): string {
  return valueText(value, undefined);
}

function valueText(value: unknown, shared: Shared | undefined): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(canonicalValue).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  let text = '';
  for (const { key, prefix } of membersOf(value)) {
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (member === undefined) continue;
    text += `${text === '' ? '{' : ','}${prefix}${memberText(member, shared)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function memberText(member: unknown, shared: Shared | undefined): string {
  if (typeof member === 'number' && Number.isSafeInteger(member)) return `${member}`;
  if (shared === undefined || typeof member !== 'object') return canonicalValue(member);
  if (shared.value !== member) {
    shared.text = canonicalValue(member);
    shared.value = member;
  }
  return shared.text;
}

/** Text that JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

interface Member {
  readonly key: string;
  /** The key as JSON writes it, with its colon. */
  readonly prefix: string;
}

/** The keys of objects, as they come and in canonical order. */
interface Kind {
  readonly keys: readonly string[];
  readonly members: readonly Member[];
}

/** Maximum number of kinds of objects whose order of keys is kept. */
const MAX_KINDS = 256;

/** By the joined keys, which may be those of another kind: an empty key, or one with a NUL. */
const kinds = new Map<string, Kind>();
let latest: Kind | undefined;

function membersOf(value: object): readonly Member[] {
  const keys = Object.keys(value);
  if (latest !== undefined && isSameList(latest.keys, keys)) return latest.members;
  const joined = keys.join('\0');
  let kind = kinds.get(joined);
  if (kind === undefined || !isSameList(kind.keys, keys)) {
    const members = [...keys]
      .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
      .map((key) => ({ key, prefix: `${JSON.stringify(key)}:` }));
    kind = { keys, members };
    if (kinds.size < MAX_KINDS) kinds.set(joined, kind);
  }
  latest = kind;
  return kind.members;
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function rank(key: string): number {
  const index = KEY_ORDER.indexOf(key);
  return index < 0 ? KEY_ORDER.length : index;
}
