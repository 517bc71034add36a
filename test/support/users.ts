import type { Cleanup } from './cleanup.js';
import { exec } from './cli.js';

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
