// Usage: npm run campaign:jails [-- DIRECTORY...]
// Builds a jail for each program alone, and runs its loader inside. Run as root.
import { mkdtempSync, rmSync } from 'node:fs';
import { proveInJails } from './in-jail.js';

const directories = process.argv.slice(2);
const scratch = mkdtempSync('/srv/jailbuild-jails-');
const start = performance.now();
try {
  const { proven, names, differences } = await proveInJails(
    directories.length === 0 ? ['/usr/bin', '/usr/sbin'] : directories,
    scratch,
    1,
  );
  for (const difference of differences) console.log(difference);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${proven} jails, ${names} libraries found in them, in ${seconds} s`);
  console.log(`${differences.length} differences`);
  if (differences.length > 0) process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
