import { pathBuffer } from '../fs/path-bytes.js';
import type { Entry } from '../manifest/manifest.js';
import type { LaunchOptions } from './options.js';

/**
 * Rights granted at and below a path: `r` read files, `l` list directories, `x` execute, `w` write files, `m` make,
 * rename and remove entries.
 */
export interface LandlockRule {
  readonly rights: string;
  readonly path: string;
}

/**
 * Returns the rules that limit a command to the content its jail was built with and the mounts of its options.
 *
 * Files of the manifest can be read, and executed if their mode allows it; devices and fifos can also be written. Names
 * can be listed everywhere, since a right on a directory applies to everything below it. Directories are writable if
 * they are meant to be: mode 1777, or owned by a user other than root. Mounts follow their own mode.
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

/** Returns the rules in the format the launcher reads. */
export function landlockFile(rules: readonly LandlockRule[]): Buffer {
  return Buffer.concat(rules.map(({ rights, path }) => pathBuffer(`${rights}:${path}\0`)));
}
