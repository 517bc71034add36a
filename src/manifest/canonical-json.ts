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
  return `[\n${items.map((item) => `    ${canonicalValue(item)}`).join(',\n')}\n  ]`;
}

/** Returns whether two values have the same canonical form. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return canonicalValue(a) === canonicalValue(b);
}

/** Formats a value on one line, with the keys of its objects in the order of a manifest. */
export function canonicalValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalValue).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalValue(member)}`);
  return `{${members.join(',')}}`;
}

function rank(key: string): number {
  const index = KEY_ORDER.indexOf(key);
  return index < 0 ? KEY_ORDER.length : index;
}
