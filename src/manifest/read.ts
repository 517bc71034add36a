import { readTextFile } from '../fs/read-text.js';
import { MAX_ID } from './account-request.js';
import type { Advice } from './advice.js';
import { Field, parseJson } from './json-field.js';
import {
  type Entry,
  MANIFEST_SCHEMA,
  type Manifest,
  type ManifestRequest,
  type MissingLibrary,
  type Reason,
} from './manifest.js';

/** In bytes; a hundred times a manifest of all of a distribution's programs. */
const MAX_BYTES = 1 << 28;

const MODE = /^0?[0-7]{4}$/;
const TIME = /^-?\d{1,12}\.\d{9}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const VARIABLE = /^[^=\0]+$/;
const WITHOUT_NUL = /^[^\0]*$/;
const XATTR_NAME = /^(?:user|trusted|security|system)\.[^\0]+$/;

const COMMON = ['path', 'type', 'mode', 'uid', 'gid', 'mtime', 'source', 'xattrs', 'reasons'];
const FIELDS: Readonly<Record<Entry['type'], readonly string[]>> = {
  directory: COMMON,
  file: [...COMMON, 'size', 'digest', 'content', 'hardlink'],
  symlink: [...COMMON, 'target'],
  'character-device': [...COMMON, 'major', 'minor'],
  'block-device': [...COMMON, 'major', 'minor'],
  fifo: COMMON,
};

/**
 * Reads a manifest from a file.
 *
 * @throws JailbuildError NOT_READABLE, MANIFEST_INVALID
 */
export function readManifest(file: string): Manifest {
  return parseManifest(readTextFile(file, MAX_BYTES), file);
}

/**
 * Parses a manifest and checks every field.
 *
 * @param name the name of the manifest in messages: its file
 * @throws JailbuildError MANIFEST_INVALID, naming the field: `FILE: entries[3].mode: ...`
 */
export function parseManifest(text: string, name: string): Manifest {
  return toManifest(parseJson(text, name), name);
}

/**
 * Converts a parsed document to a manifest. Sorts the entries, which may come in any order. Refuses
 * paths that could lead out of a jail, duplicate entries, entries without a parent directory, and
 * unknown fields.
 *
 * @param name the name of the document in messages: its file, optionally with the place in it
 * @throws JailbuildError MANIFEST_INVALID
 */
export function toManifest(value: unknown, name: string): Manifest {
  const root = new Field(value, name).object();
  const schema = root.member('schema').string();
  if (schema !== MANIFEST_SCHEMA) {
    root.member('schema').refuse(`is ${JSON.stringify(schema)}, expected ${MANIFEST_SCHEMA}`);
  }
  root.only([
    'schema',
    'request',
    'environment',
    'entries',
    'missing',
    'warnings',
    'hints',
    'advice',
  ]);
  return {
    schema: MANIFEST_SCHEMA,
    request: toRequest(root.member('request')),
    ...root.optional('environment', toEnvironment),
    entries: toEntries(root.member('entries')),
    missing: root.member('missing').items().map(toMissing),
    warnings: root
      .member('warnings')
      .items()
      .map((item) => item.string()),
    ...root.optional('hints', (hints) => hints.items().map((item) => item.string())),
    ...root.optional('advice', (advice) => advice.items().map(toAdvice)),
  };
}

/**
 * Checks and sorts a list of entries.
 *
 * @param isWhole whether the parents of every entry must be in the list
 */
export function toEntries(list: Field, isWhole = true): Entry[] {
  const places = list.items().map((field) => ({ entry: toEntry(field), field }));
  places.sort((a, b) => (a.entry.path < b.entry.path ? -1 : a.entry.path > b.entry.path ? 1 : 0));
  const types = new Map<string, Entry['type']>();
  for (const { entry, field } of places) {
    const at = field.member('path');
    if (types.has(entry.path)) at.refuse(`${entry.path} occurs twice`);
    const parent = entry.path.slice(0, entry.path.lastIndexOf('/'));
    const parentType = types.get(parent);
    if (parent !== '' && (parentType === undefined ? isWhole : parentType !== 'directory')) {
      at.refuse(`${entry.path} has no parent directory ${parent}`);
    }
    if (entry.type === 'file' && entry.hardlink !== undefined) {
      if (isWhole && types.get(entry.hardlink) !== 'file') {
        field.member('hardlink').refuse(`${entry.hardlink} is not a file listed before this one`);
      }
    }
    types.set(entry.path, entry.type);
  }
  return places.map(({ entry }) => entry);
}

function toEntry(field: Field): Entry {
  const object = field.object();
  const typeField = object.member('type');
  const type = typeField.string() as Entry['type'];
  const fields = Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined;
  if (fields === undefined) return typeField.refuse(`is ${JSON.stringify(type)}`);
  object.only(fields);
  const base = {
    path: object.member('path').path(),
    mode: object.member('mode').matching(MODE, 'an octal mode such as "0755"'),
    uid: object.member('uid').integer(0, MAX_ID),
    gid: object.member('gid').integer(0, MAX_ID),
    mtime: object.member('mtime').matching(TIME, 'seconds, a point and nine digits'),
    ...object.optional('source', (source) => source.path()),
    ...object.optional('xattrs', toXattrs),
    reasons: object.member('reasons').items().map(toReason),
  };
  switch (type) {
    case 'directory':
    case 'fifo':
      return { type, ...base };
    case 'file':
      return toFile(object, base);
    case 'symlink':
      return { type, ...base, target: object.member('target').linkText() };
    case 'character-device':
    case 'block-device':
      return {
        type,
        ...base,
        major: object.member('major').integer(0, 0xfff),
        minor: object.member('minor').integer(0, 0xf_ffff),
      };
  }
}

function toFile(object: Field, base: Omit<Entry & { type: 'fifo' }, 'type'>): Entry {
  const file: Entry = {
    type: 'file',
    ...base,
    size: object.member('size').integer(0, Number.MAX_SAFE_INTEGER),
    ...object.optional('digest', (digest) =>
      digest.matching(DIGEST, '"sha256:" and 64 hexadecimal digits'),
    ),
    ...object.optional('content', (content) => content.matching(BASE64, 'base64')),
    ...object.optional('hardlink', (hardlink) => hardlink.path()),
  };
  const { content, source, size } = file;
  if (content === undefined && source === undefined && file.hardlink === undefined) {
    object.refuse('has neither source nor content');
  }
  if (content !== undefined && source !== undefined) object.refuse('has both source and content');
  if (content !== undefined && Buffer.byteLength(content, 'base64') !== size) {
    object.member('size').refuse(`is ${size}, not the length of content`);
  }
  return file;
}

function toXattrs(field: Field): Readonly<Record<string, string>> {
  return toTexts(field, [XATTR_NAME, 'an attribute name'], [BASE64, 'base64']);
}

function toEnvironment(field: Field): Readonly<Record<string, string>> {
  return toTexts(field, [VARIABLE, 'a variable name'], [WITHOUT_NUL, 'text without NUL']);
}

type Form = readonly [pattern: RegExp, expected: string];

/** Returns an object whose names and values match patterns. */
function toTexts(field: Field, names: Form, values: Form): Readonly<Record<string, string>> {
  const object = field.object();
  const [pattern, expected] = names;
  return Object.fromEntries(
    object.names().map((name) => {
      if (!pattern.test(name)) object.refuse(`${JSON.stringify(name)} is not ${expected}`);
      return [name, object.member(name).matching(...values)];
    }),
  );
}

/** Accepts unknown kinds, which later versions may add: reasons are for people. */
function toReason(field: Field): Reason {
  const object = field.object();
  const reason = object.value as Record<string, unknown>;
  // Reasons outnumber everything else, so a Field is created only for errors.
  if (typeof reason.kind !== 'string') object.member('kind').string();
  for (const name of object.names()) {
    if (name === 'line') object.member(name).integer(1, Number.MAX_SAFE_INTEGER);
    else if (typeof reason[name] !== 'string') object.member(name).string();
  }
  return reason as unknown as Reason;
}

/** Checks what the resolver uses; keeps unknown fields. */
function toRequest(field: Field): ManifestRequest {
  const object = field.object();
  for (const program of object.member('programs').items()) program.string();
  const terminfo = object.member('terminfo');
  if (Array.isArray(terminfo.value)) for (const name of terminfo.items()) name.string();
  else terminfo.matching(/^(?:all|none)$/, '"all", "none" or a list of names');
  object.member('ldCache').matching(/^(?:generate|copy|none)$/, '"generate", "copy" or "none"');
  object.optional('libraryPath', (list) => list.items().map((item) => item.string()));
  return object.value as ManifestRequest;
}

function toAdvice(field: Field): Advice {
  const object = field.object();
  for (const name of ['id', 'program', 'text']) object.member(name).string();
  for (const word of object.member('add').items()) word.string();
  return object.value as unknown as Advice;
}

function toMissing(field: Field): MissingLibrary {
  const object = field.object();
  object.member('name').string();
  object.member('neededBy').string();
  object.optional('version', (version) => {
    version.object().member('name').string();
    const problems = /^(?:undefined|unversioned|undeclared|not-loaded|malformed)$/;
    version.object().member('problem').matching(problems, 'the name of a problem');
    version.object().optional('file', (file) => file.string());
  });
  for (const place of object.member('searched').items()) {
    place.object().member('rule').string();
    place.object().member('path').string();
  }
  return object.value as MissingLibrary;
}
