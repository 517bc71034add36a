// Usage: npm run campaign:roots [-- CASES [SEED [FIRST]]]
// Compares jailbuild's closures with the loaders' lists in random root file systems. Run as root.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compareInRandomRoots } from './random-roots.js';

const [cases = '10000', seed = '1', first = '0'] = process.argv.slice(2);
const scratch = mkdtempSync(path.join(tmpdir(), 'jailbuild-roots-'));
const start = performance.now();
const { names, missing, stops, crashes, differences } = await compareInRandomRoots(
  Number(cases),
  Number(seed),
  scratch,
  Number(first),
);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
for (const { ours, theirs, case: one } of differences.slice(0, 5)) {
  console.log(JSON.stringify({ case: one, ours, theirs }, undefined, 2));
}
console.log(
  `${cases} roots, ${names} libraries found and ${missing} missing in them, ${stops} stops at a file, ${crashes} crashes of a loader, in ${seconds} s`,
);
console.log(`${differences.length} differences`);
if (differences.length > 0) {
  console.log(`the roots that differ are kept in ${scratch}`);
  process.exitCode = 1;
} else {
  rmSync(scratch, { recursive: true });
}
