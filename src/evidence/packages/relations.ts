import type { Relation } from './package.js';

/**
 * Parses a dpkg relationship field: relations separated by commas, alternatives by bars. Drops
 * versions, architectures and build profiles (Debian policy, 7.1).
 */
export function dpkgRelations(field: string | undefined): Relation[] {
  if (field === undefined) return [];
  return field
    .split(',')
    .map((relation) =>
      relation.split('|').flatMap((alternative) => NAME.exec(alternative)?.[1] ?? []),
    )
    .filter(({ length }) => length > 0);
}

/** What precedes a version, an architecture or a build profile. */
const NAME = /^\s*([^\s:([<]+)/;

/** Reads capabilities of apk: words with perhaps a version behind `<`, `=`, `>` or `~`; `!` conflicts. */
export function apkCapabilities(field: string | undefined): string[] {
  return (field ?? '')
    .split(' ')
    .filter((word) => word !== '' && !word.startsWith('!'))
    .map((word) => word.replace(/[<=>~@].*$/, ''));
}
