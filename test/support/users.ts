import type { Cleanup } from './cleanup.js';
import { exec } from './cli.js';

let count = 0;

/**
 * A user of the machine, until the tests are done. It has no password, and may log in by a key all
 * the same.
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
