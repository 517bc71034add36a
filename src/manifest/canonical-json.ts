import type { Entry, Manifest } from './manifest.js';

/** The order of keys in print; keys not named here follow in the order of the alphabet. */
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
 * A manifest as text: fixed order of keys, one entry a line, so that equal manifests have equal
 * bytes and two of them compare well with diff(1). Ends with a newline.
 */
export function canonicalJson(manifest: Manifest): string {
  const { schema, request, environment, entries, missing, warnings, hints, advice } = manifest;
  const list = (items: readonly unknown[]) =>
    items.length === 0
      ? '[]'
      : `[\n${items.map((item) => `    ${canonicalValue(item)}`).join(',\n')}\n  ]`;
  return [
    '{',
    `  "schema": ${JSON.stringify(schema)},`,
    `  "request": ${canonicalValue(request)},`,
    ...(environment === undefined ? [] : [`  "environment": ${canonicalValue(environment)},`]),
    `  "entries": ${list(entries satisfies readonly Entry[])},`,
    `  "missing": ${list(missing)},`,
    `  "warnings": ${list(warnings)}${hints === undefined && advice === undefined ? '' : ','}`,
    ...(hints === undefined ? [] : [`  "hints": ${list(hints)}${advice === undefined ? '' : ','}`]),
    ...(advice === undefined ? [] : [`  "advice": ${list(advice)}`]),
    '}\n',
  ].join('\n');
}

/** Whether two values are the same in print. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return canonicalValue(a) === canonicalValue(b);
}

/** A value on one line, with the keys of its objects in the order of a manifest. */
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
