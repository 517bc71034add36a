/**
 * Reduces images of Debian with python3, nginx, ruby and openjdk, with jlink too. Arguments select some of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTrial, TRIALS } from './slim.js';

const mega = (bytes: number) => (bytes / 1e6).toFixed(1);
let isGood = true;

const wanted = process.argv.slice(2);
console.log('| Image | MB | Slimmed | Part | Proofs | Same digest twice | Left out, the largest |');
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const trial of TRIALS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'jailbuild-slim-'));
  try {
    const { name, before, after, isProven, isSame, largest, error } = runTrial(trial, scratch);
    if (error !== undefined) console.error(error);
    const left = largest.map((item) => `${item.name ?? 'no package'} ${mega(item.size)}`);
    const part = before === 0 ? 1 : after / before;
    isGood &&= isProven && isSame;
    const cells = [name, mega(before), mega(after), `${(100 * part).toFixed(1)} %`];
    console.log(
      `| ${[...cells, isProven ? 'pass' : 'fail', isSame ? 'yes' : 'no', left.join(', ')].join(' | ')} |`,
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
process.exitCode = isGood ? 0 : 1;
