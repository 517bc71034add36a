import assert from 'node:assert/strict';
import path from 'node:path';
import { type LaunchOptions, launcherArguments } from '../../src/launcher/options.js';
import { type ExecOptions, exec, type Finished, INVOKE_NS, PROJECT } from '../support/cli.js';

/** Compiles a program of fixtures/launcher statically. */
export function compileFixture(name: string, out: string, flags: readonly string[] = []): void {
  const source = path.join(PROJECT, 'fixtures/launcher', `${name}.c`);
  const { status, stderr } = exec('gcc', [
    ...['-static', '-O1', '-Wall', '-Wextra', ...flags, '-o', out, source],
    // The kernel headers of this architecture also suit i386 programs.
    ...['-idirafter', '/usr/include/x86_64-linux-gnu'],
  ]);
  assert.equal(status, 0, stderr);
}

/** An unprivileged user of the host, without a name. */
export const NOBODY = 54321;

/** Words that run a command as that user. */
export const AS_NOBODY = [
  ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'],
];

/** The only user of a user namespace created without privileges. */
export const NOBODY_AS_ROOT = {
  uids: [{ inside: 0, outside: NOBODY, count: 1 }],
  gids: [{ inside: 0, outside: NOBODY, count: 1 }],
};

/** Runs a command in a jail with the launcher's arguments of `jailbuild run`. */
export function runDirectly(
  jail: string,
  launch: LaunchOptions,
  command: readonly string[],
  { before = [], ...options }: ExecOptions & { readonly before?: readonly string[] } = {},
): Finished {
  const [file = '', ...args] = [...before, INVOKE_NS, ...launcherArguments(jail, launch, command)];
  return exec(file, args, options);
}

/** Runs a command with some of the launcher's own options. */
export function invoke(args: readonly string[], options: ExecOptions = {}): Finished {
  return exec(INVOKE_NS, args, options);
}

/** Returns what a command prints on a terminal of its own, which script(1) creates. */
export function onTerminal(command: readonly string[], size = 'rows 24 cols 80'): string {
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const { stdout } = exec('script', ['-qec', `stty ${size}; ${words}`, '/dev/null']);
  // script types an end of file when its input ends, and the terminal may echo it.
  return stdout.replace(/\^[@D][\b]*/g, '').replaceAll('\r', '');
}
