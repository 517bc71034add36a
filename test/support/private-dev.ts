import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { exec, type Finished, JAILBUILD } from './cli.js';

/** Creates a private /dev, to keep the host's devices out of reach. */
const PRIVATE_DEV = [
  'set -e',
  'dev=$1; shift',
  'mkdir -p "$dev"',
  'mount -t tmpfs -o mode=755 tmpfs "$dev"',
  'mknod -m 666 "$dev/null" c 1 3',
  'mknod -m 666 "$dev/full" c 1 7',
  'mknod -m 666 "$dev/zero" c 1 5',
  'mknod -m 666 "$dev/urandom" c 1 9',
  'ln -s /proc/self/fd "$dev/fd"',
  'ln -s fd/0 "$dev/stdin"; ln -s fd/1 "$dev/stdout"; ln -s fd/2 "$dev/stderr"',
  'mount --bind "$dev" /dev',
  '',
].join('\n');

/**
 * Runs a script of bash(1) as root in a mount namespace with a private /dev, so that a fault in the
 * tested code cannot reach the devices of the machine. `$J` is the built command line.
 *
 * @param directory the script's working directory, whose `dev` is used
 */
export function inPrivateDev(directory: string, script: string): Finished {
  const file = path.join(directory, 'script');
  writeFileSync(file, `${PRIVATE_DEV}set +e\n${script}\n`);
  const mount = ['--mount', '--propagation', 'private'];
  return exec('unshare', [...mount, 'bash', file, path.join(directory, 'dev')], {
    cwd: directory,
    env: { ...process.env, J: `${process.execPath} ${JAILBUILD}` },
  });
}
