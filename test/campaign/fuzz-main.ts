// Usage: npm run campaign:fuzz [-- CASES [SEED]]
// Parses mutated ELF files and library caches, and accepts only errors that name a field.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type FuzzResult, fuzzCache, fuzzElf, fuzzResolve } from './fuzz.js';

const [cases = '120000', seed = '1'] = process.argv.slice(2);

function print(what: string, result: FuzzResult, seconds: number): void {
  const { refused, slowest, mostRead, growth, failures } = result;
  console.log(`\n${result.cases} ${what} in ${seconds.toFixed(1)} s: ${result.accepted} accepted`);
  for (const [field, count] of [...refused].sort((a, b) => b[1] - a[1])) {
    console.log(`  ${String(count).padStart(7)} ${field}`);
  }
  console.log(
    `slowest ${slowest.toFixed(1)} ms of CPU time, most read ${mostRead} bytes, heap grew by ${growth} bytes`,
  );
  for (const failure of failures.slice(0, 10)) console.log(failure);
  console.log(`${failures.length} failures`);
  if (failures.length > 0) process.exitCode = 1;
}

function timed(what: string, work: () => FuzzResult): void {
  const start = performance.now();
  const result = work();
  print(what, result, (performance.now() - start) / 1000);
}

timed('mutated ELF files', () => fuzzElf(Number(cases), Number(seed)));
timed('mutated library caches', () =>
  fuzzCache(Math.ceil(Number(cases) / 10), Number(seed), [readFileSync('/etc/ld.so.cache')]),
);

const root = mkdtempSync(path.join(tmpdir(), 'jailbuild-fuzz-'));
try {
  timed('mutated files in a closure', () =>
    fuzzResolve(Math.ceil(Number(cases) / 20), Number(seed), root),
  );
} finally {
  rmSync(root, { recursive: true });
}
