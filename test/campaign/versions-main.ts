// Usage: npm run campaign:versions [-- CASES [SEED]]
// Compares jailbuild's verdict on symbol versions with the loader's, in random roots. Run as root.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compareVersions } from './versions.js';

const [cases = '10000', seed = '1'] = process.argv.slice(2);
const scratch = mkdtempSync(path.join(tmpdir(), 'jailbuild-versions-'));
const { kinds, differences } = await compareVersions(Number(cases), Number(seed), scratch);
for (const difference of differences.slice(0, 5)) {
  console.log(JSON.stringify(difference, undefined, 2));
}
console.log(`${cases} roots; ${[...kinds].map(([kind, count]) => `${kind}: ${count}`).join(', ')}`);
console.log(`${differences.length} differences`);
if (differences.length > 0) {
  console.log(`the roots that differ are kept in ${scratch}`);
  process.exitCode = 1;
} else {
  rmSync(scratch, { recursive: true });
}
