import assert from 'node:assert/strict';
import type { ErrorCode } from '../../src/errors.js';
import { type ExecOptions, jailbuild } from './cli.js';

/**
 * Runs a command line that must fail, with a report in JSON, and asserts everything that a user or
 * a program learns: the code, the exit status that belongs to it, and a message of one line, the
 * same in the report and on standard error, without a stack.
 *
 * @param code expected code of the error
 * @param words that the message must match
 * @param args of a command with the option `--json`, which is added
 */
export function fails(
  code: ErrorCode,
  words: RegExp,
  args: readonly string[],
  options: ExecOptions = {},
): void {
  const end = args.indexOf('--');
  const at = end < 0 ? args.length : end;
  const { status, stdout, stderr } = jailbuild(
    [...args.slice(0, at), '--json', ...args.slice(at)],
    options,
  );
  const { error } = JSON.parse(stdout || '{}') as {
    readonly error?: { readonly code: string; readonly message: string };
  };
  assert.ok(error !== undefined, `${args.join(' ')}: ${stdout}${stderr}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.equal(stderr, `jailbuild: ${error.message}\n`);
  assert.doesNotMatch(error.message, /\n|^ {4}at /);
  assert.equal(status, code === 'USAGE' ? 2 : 1);
}
