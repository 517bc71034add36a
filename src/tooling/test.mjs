// Usage: node --import tsx src/tooling/test.mjs [FILE or DIRECTORY...]
// Runs the tests and shows what was skipped and why; with NO_SKIPS in the environment, that is a failure.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const FILE_TIMEOUT = 15 * 60 * 1000;

// With it, Node's start takes more than twice its time, and warns whoever may not read the file.
delete process.env.NODE_EXTRA_CA_CERTS;

const roots = process.argv.slice(2);
const files = (roots.length === 0 ? ['test'] : roots).flatMap(testFiles);
const skipped = [];

const results = run({ files, concurrency: 2, timeout: FILE_TIMEOUT });
results.on('test:fail', () => {
  process.exitCode = 1;
});
results.on('test:pass', ({ name, skip }) => {
  if (skip !== undefined && skip !== false) skipped.push(`${name}: ${skip}`);
});
results.compose(new spec()).pipe(process.stdout);
results.on('end', () => {
  if (skipped.length === 0) return;
  process.on('exit', () => {
    process.stdout.write(`\nSkipped:\n${skipped.map((line) => `  ${line}\n`).join('')}`);
  });
  if (process.env.NO_SKIPS) process.exitCode = 1;
});

function testFiles(root) {
  if (statSync(root).isFile()) return [path.resolve(root)];
  return readdirSync(root, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => path.resolve(root, name));
}
