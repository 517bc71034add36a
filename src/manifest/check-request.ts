import { nearest } from '../text/suggest.js';
import { type AccountRequest, isAccountName, MAX_ID } from './account-request.js';
import type { IncludeRequest } from './include-request.js';
import { type Document, Field } from './json-field.js';
import type { ResolveRequest, SysrootImage } from './request.js';

/** A check for each member of an object; it returns the member. */
export type Checks<T> = { readonly [K in keyof Required<T>]: (field: Field) => T[K] };

const DOCUMENT: Document = { name: 'request', code: 'USAGE' };

const ACCOUNT: Checks<AccountRequest> = {
  name: (field) =>
    isAccountName(text(field)) ? text(field) : field.refuse('is not a valid user name'),
  uid: (field) => field.integer(0, MAX_ID),
  gid: (field) => field.integer(0, MAX_ID),
  home: absolute,
  shell: absolute,
  gecos: (field) => field.matching(/^[^:\0\n]*$/, 'text without colons and line ends'),
  groups: texts,
};

const INCLUDE: Checks<IncludeRequest> = { from: text, to: absolute };

const SYSROOT_IMAGE: Checks<SysrootImage> = { reference: text, platform: text, id: text };

const REQUEST: Checks<ResolveRequest> = {
  programs: texts,
  profiles: texts,
  users: (field) => field.items().map((item) => checked(item, ACCOUNT, ['name'])),
  include: (field) => field.items().map((item) => checked(item, INCLUDE, ['from'])),
  directories: (field) => field.items().map(absolute),
  exclude: texts,
  traces: texts,
  traceScope: oneOf('files', 'directories', 'packages'),
  allowStaleTraces: (field) => field.boolean(),
  packages: texts,
  withPackage: (field) => field.boolean(),
  packageDepends: (field) =>
    field.value === 'all' ? 'all' : field.integer(0, Number.MAX_SAFE_INTEGER),
  packageEssential: (field) => field.boolean(),
  packageDocs: (field) => field.boolean(),
  scriptCommands: oneOf('auto', 'none'),
  terminfo: textsOr('default', 'all', 'none'),
  dlopen: oneOf('required', 'recommended', 'suggested', 'none'),
  nss: oneOf('auto', 'none'),
  gconv: textsOr('all'),
  locales: texts,
  caCertificates: (field) => field.boolean(),
  timeZones: textsOr('all'),
  ldCache: oneOf('generate', 'copy', 'none'),
  libraryPath: texts,
  sysroot: text,
  sysrootImage: (field) => checked(field, SYSROOT_IMAGE, ['reference', 'id']),
  path: texts,
  cwd: absolute,
  terminals: texts,
};

/**
 * Checks that a value has the shape of a request. Undefined members count as missing.
 *
 * @returns the request, without undefined members
 * @throws JailbuildError USAGE, naming the member: `request: programs: is not a list`
 */
export function checkRequest(value: unknown): ResolveRequest {
  return checked(new Field(value, DOCUMENT), REQUEST, ['programs']);
}

/** Checks the members of an object one by one; refuses other members. */
export function checked<T extends object>(
  field: Field,
  checks: Checks<T>,
  required: readonly (keyof T & string)[] = [],
): T {
  const object = field.object();
  const known = Object.keys(checks);
  const members = object.names().filter((name) => object.member(name).value !== undefined);
  for (const name of members) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known, 3);
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    object.member(name).refuse(`is not a known member${hint}`);
  }
  for (const name of required) {
    if (!members.includes(name)) object.member(name).refuse('is missing');
  }
  return Object.fromEntries(
    members.map((name) => [name, checks[name as keyof T](object.member(name))]),
  ) as T;
}

export function text(field: Field): string {
  const value = field.string();
  if (value === '') field.refuse('is empty');
  if (value.includes('\0')) field.refuse('has a zero byte');
  return value;
}

export function texts(field: Field): readonly string[] {
  return field.items().map(text);
}

export function absolute(field: Field): string {
  const value = text(field);
  return value.startsWith('/') ? value : field.refuse('is not an absolute path');
}

/** Checks for one of several words. */
export function oneOf<const T extends string>(...words: readonly T[]): (field: Field) => T {
  return (field) => {
    const word = words.find((known) => known === field.value);
    return word ?? field.refuse(`is not ${listed(words)}`);
  };
}

/** Checks for a word such as `all`, or a list of names. */
function textsOr<const T extends string>(...words: readonly T[]) {
  return (field: Field): T | readonly string[] => {
    const word = words.find((known) => known === field.value);
    if (word !== undefined) return word;
    if (Array.isArray(field.value)) return texts(field);
    return field.refuse(`is neither a list nor ${listed(words)}`);
  };
}

function listed(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return quoted.length < 2
    ? quoted.join()
    : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}
