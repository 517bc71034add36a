import type { Cleanup } from './cleanup.js';
import { exec } from './cli.js';
import { needsRoot, needsThat } from './need.js';

/** The start of a command of user 12345 as root of a user namespace, to which the owner of `/` is unknown. */
export const BELOW_FOREIGN_ROOT = [
  'setpriv',
  '--reuid=12345',
  '--regid=12345',
  '--clear-groups',
  'unshare',
  '--user',
  '--map-root-user',
] as const;

/** Returns options for a test that starts Node with {@link BELOW_FOREIGN_ROOT}. */
export function needsForeignRoot(): { readonly skip: string | false } {
  const [file, ...args] = BELOW_FOREIGN_ROOT;
  return needsThat(
    'user namespaces of other users, who can run this Node.js',
    () => exec(file, [...args, process.execPath, '--version']).status === 0,
    needsRoot('setpriv', 'unshare'),
  );
}

let count = 0;

/**
 * Creates a user of the machine until the tests end, without a password, but with logins by key.
 *
 * @returns the name
 */
export function makeUser(cleanup: Cleanup, shell: string): string {
  const name = `jbt${process.pid}x${count++}`;
  const { status, stderr } = exec('useradd', [
    ...['--no-create-home', '--home-dir', `/home/${name}`, '--shell', shell],
    ...['--password', '*', '--user-group', name],
  ]);
  if (status !== 0) throw new Error(`useradd: ${stderr}`);
  cleanup.add(() => exec('userdel', [name]));
  return name;
}
