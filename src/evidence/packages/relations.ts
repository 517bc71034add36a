import type { Relation } from './package.js';

/**
 * Parses a dpkg relationship field: relations separated by commas, alternatives by bars. Drops
 * versions, architectures and build profiles (Debian policy, 7.1).
 */
export function dpkgRelations(field: string | undefined): Relation[] {
  return (field ?? '')
    .split(',')
    .map((relation) =>
      relation
        .split('|')
        .map((alternative) =>
          alternative
            .replace(/[([<].*$/s, '')
            .trim()
            .replace(/:.*$/, ''),
        )
        .filter((name) => name !== ''),
    )
    .filter(({ length }) => length > 0);
}

/**
 * Parses apk capabilities: words, optionally followed by `<`, `=`, `>` or `~` and a version. Drops
 * conflicts (`!`).
 */
export function apkCapabilities(field: string | undefined): string[] {
  return (field ?? '')
    .split(' ')
    .filter((word) => word !== '' && !word.startsWith('!'))
    .map((word) => word.replace(/[<=>~@].*$/, ''));
}
