import assert from 'node:assert/strict';
import path from 'node:path';
import { jailbuild } from './cli.js';

/**
 * Creates a directory to use as `/`: the programs and their dependencies from this host, to be
 * changed at will.
 */
export function makeSysroot(directory: string, ...programs: readonly string[]): string {
  const sysroot = path.join(directory, 'host');
  const { status, stderr } = jailbuild([sysroot, ...programs, '--quiet', '--no-record']);
  assert.equal(status, 0, stderr);
  return sysroot;
}
