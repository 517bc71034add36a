import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, realpathSync } from 'node:fs';
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

/** Files of dpkg that tell which package owns what `ls` needs. */
const OWNERS = /^(coreutils|libc6|libselinux1|libpcre2-8-0)(:\w+)?\.(list|md5sums)$/;

/**
 * Creates a directory to use as `/`, as {@link makeSysroot} does, with the packages of this host if
 * it is a Debian: for tests that compare what two commands find, since the host may change between
 * them.
 */
export function makePackagedSysroot(directory: string, ...programs: readonly string[]): string {
  const sysroot = makeSysroot(directory, ...programs);
  const database = '/var/lib/dpkg';
  if (!existsSync(database)) return sysroot;
  // The cpSync() of Node 22 and 24 refuses a link to a file.
  cpSync(realpathSync('/etc/os-release'), `${sysroot}/etc/os-release`);
  cpSync(`${database}/status`, `${sysroot}${database}/status`);
  for (const name of readdirSync(`${database}/info`).filter((each) => OWNERS.test(each)))
    cpSync(`${database}/info/${name}`, `${sysroot}${database}/info/${name}`);
  return sysroot;
}
