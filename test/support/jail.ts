import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type ExecOptions, exec, type Finished, jailbuild } from './cli.js';

/** Builds a jail; output on standard error that does not match `expected` is a failure. */
export function buildJail(root: string, args: readonly string[], expected?: RegExp): void {
  const { status, stderr } = jailbuild([root, ...args, '--quiet']);
  if (expected === undefined) assert.equal(stderr, '');
  else assert.match(stderr, expected);
  assert.equal(status, 0);
}

/** Runs a command in a jail as `jailbuild run` does; it must succeed. */
export function runInJail(
  root: string,
  command: readonly string[],
  runOptions: readonly string[] = [],
  options: ExecOptions = {},
): Finished {
  const done = jailbuild(['run', root, ...runOptions, '--', ...command], options);
  assert.equal(done.status, 0, `${command.join(' ')}: ${done.stdout}${done.stderr}`);
  return done;
}

/** Runs a command under chroot(1) in new PID and mount namespaces, with /proc. */
export function chrootInJail(root: string, command: readonly string[]): Finished {
  return exec('unshare', [
    ...['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c'],
    'mkdir -p "$0/proc" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"',
    root,
    ...command,
  ]);
}

/**
 * Returns the names in a jail's state directory, sorted. Leaves out the fingerprint, which a build does not keep while
 * files that it read have changed within two seconds, as other tests may change them.
 */
export function stateNames(jail: string): string[] {
  const names = readdirSync(`${jail}/.jailbuild`);
  return names.filter((name) => name !== 'fingerprint').sort();
}
