import type { Profile, ProfileContent } from '../../profile/profile.js';
import { printable } from './text.js';

/** Lists profiles, one a line. */
export function profileTable(profiles: readonly Profile[]): string {
  const width = Math.max(4, ...profiles.map(({ name }) => name.length));
  const rows = profiles.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`);
  return [`${'NAME'.padEnd(width)}  SUMMARY`, ...rows].map((row) => `${printable(row)}\n`).join('');
}

const HEADINGS: readonly (readonly [keyof ProfileContent, string])[] = [
  ['include', 'Builds on'],
  ['programs', 'Programs'],
  ['files', 'Files'],
  ['directories', 'Directories'],
  ['links', 'Links'],
  ['devices', 'Devices'],
  ['users', 'Users'],
  ['groups', 'Groups'],
  ['environment', 'Environment'],
  ['user-shells', 'Login shells of the users'],
  ['terminfo', 'Terminal descriptions'],
  ['nss', "The sysroot's name service"],
  ['dlopen', 'Libraries that programs open'],
  ['gconv', 'Character sets'],
  ['locales', 'Locales'],
  ['ca-certificates', 'CA certificates'],
  ['time-zones', 'Time zones'],
];

/** Describes a profile: what it adds, and its notes verbatim. */
export function profileText(profile: Profile): string {
  const blocks = HEADINGS.flatMap(([key, heading]) => {
    const value = profile[key];
    return value === undefined ? [] : [`${heading}:\n${items(value).map(indented).join('')}`];
  });
  const notes = profile.notes === undefined ? [] : [`Notes:\n${indented(profile.notes)}`];
  const title = `${printable(profile.name)}: ${printable(profile.summary)}\n${indented(profile.path)}`;
  return [title, ...blocks, ...notes].join('\n');
}

function items(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(item);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).map(([key, member]) => `${key}=${String(member)}`);
  }
  return [value === true ? 'yes' : String(value)];
}

/** Formats an item: the first member is its subject, the others follow it. */
function item(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const [first, ...rest] = Object.entries(value).filter(([key]) => key !== 'content');
  const head = first === undefined ? '' : words(first[1]);
  const made = 'content' in value ? ['made'] : [];
  const others = [
    ...made,
    ...rest.map(([key, member]) => (member === true ? key : `${key} ${words(member)}`)),
  ];
  return others.length === 0 ? head : `${head} (${others.join(', ')})`;
}

function words(value: unknown): string {
  return Array.isArray(value) ? value.join(' or ') : String(value);
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '\n' : `  ${printable(line)}\n`))
    .join('');
}
