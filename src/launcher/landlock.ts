import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';
import type { LaunchOptions } from './options.js';

/**
 * What the launcher grants at and below a path: `r` to read files, `l` to list directories, `x` to execute,
 * `w` to write files, `m` to make, rename and remove.
 */
export interface LandlockRule {
  readonly rights: string;
  readonly path: string;
}

/**
 * The rules that limit a command to what its jail was built with and what its options mount.
 *
 * A file of the manifest can be read, and executed if its mode lets anyone do so; devices and pipes can be
 * written as well. Names can be listed everywhere, since a right on a directory holds for all below it.
 * Writable are directories that are meant to be written to: those that all may write to (mode 1777) and
 * those of a user other than root. What is mounted is left to the mount's own mode.
 */
export function landlockRules(
  entries: readonly Entry[],
  { mounts = [], ownDev, proc = 'masked' }: LaunchOptions,
): readonly LandlockRule[] {
  return [
    { rights: 'l', path: '/' },
    ...entries.flatMap((entry) => {
      const rights = rightsOf(entry);
      return rights === '' ? [] : [{ rights, path: entry.path }];
    }),
    ...(ownDev ? [] : [{ rights: 'rlwm', path: '/dev' }]),
    ...(proc === 'none' ? [] : [{ rights: 'rlw', path: '/proc' }]),
    ...mounts.map(({ target }) => ({ rights: 'rlxwm', path: target })),
  ];
}

function rightsOf(entry: Entry): string {
  const mode = Number.parseInt(entry.mode, 8);
  switch (entry.type) {
    case 'file':
      return (mode & 0o111) === 0 ? 'r' : 'rx';
    case 'directory':
      return (mode & 0o1002) === 0o1002 || entry.uid !== 0 ? 'rlwm' : '';
    case 'symlink':
      return '';
    default:
      return 'rw';
  }
}

/** The rules as the launcher reads them. */
export function landlockFile(rules: readonly LandlockRule[]): Buffer {
  return Buffer.concat(rules.map(({ rights, path }) => pathBuffer(`${rights}:${path}\0`)));
}
