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
  const { schema, request, environment, entries, missing, warnings, hints, advice } = manifest;
  return [
    '{',
    `  "schema": ${JSON.stringify(schema)},`,
    `  "request": ${canonicalValue(request)},`,
    ...(environment === undefined ? [] : [`  "environment": ${canonicalValue(environment)},`]),
    `  "entries": ${canonicalList(entries satisfies readonly Entry[])},`,
    `  "missing": ${canonicalList(missing)},`,
    `  "warnings": ${canonicalList(warnings)}${hints === undefined && advice === undefined ? '' : ','}`,
    ...(hints === undefined
      ? []
      : [`  "hints": ${canonicalList(hints)}${advice === undefined ? '' : ','}`]),
    ...(advice === undefined ? [] : [`  "advice": ${canonicalList(advice)}`]),
    '}\n',
  ].join('\n');
}

/** Formats the list of a document, one item per line. */
export function canonicalList(items: readonly unknown[]): string {
  if (items.length === 0) return '[]';
  // Joined in parts: the lines of a large jail are not all in memory beside its text.
  const parts: string[] = [];
  for (let first = 0; first < items.length; first += A_PART) {
    const part = items.slice(first, first + A_PART);
    parts.push(part.map((item) => `    ${canonicalValue(item)}`).join(',\n'));
  }
  return `[\n${parts.join(',\n')}\n  ]`;
}

/** Number of lines of a list that are joined at once. */
const A_PART = 1024;

/** Returns whether two values have the same canonical form. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return canonicalValue(a) === canonicalValue(b);
}

/** Formats a value on one line, with the keys of its objects in the order of a manifest. */
export function canonicalValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(canonicalValue).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members: string[] = [];
  for (const { key, prefix } of membersOf(value)) {
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (member !== undefined) members.push(prefix + canonicalValue(member));
  }
  return `{${members.join(',')}}`;
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

/** Maximum number of kinds of objects whose order of keys is kept. */
const MAX_KINDS = 256;

/** The keys of objects in canonical order, by the keys as they come. */
const kinds = new Map<string, readonly Member[]>();

function membersOf(value: object): readonly Member[] {
  const keys = Object.keys(value);
  const kind = keys.join('\0');
  const known = kinds.get(kind);
  if (known !== undefined) return known;
  const members = keys
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map((key) => ({ key, prefix: `${JSON.stringify(key)}:` }));
  if (kinds.size < MAX_KINDS) kinds.set(kind, members);
  return members;
}

function rank(key: string): number {
  const index = KEY_ORDER.indexOf(key);
  return index < 0 ? KEY_ORDER.length : index;
}
