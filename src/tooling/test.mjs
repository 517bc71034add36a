// Usage: node --import tsx src/tooling/test.mjs [--no-skips] [FILE or DIRECTORY...]
// Runs the tests, shows what was skipped and why, and with --no-skips takes that for a failure.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const FILE_TIMEOUT = 15 * 60 * 1000;

const args = process.argv.slice(2);
const noSkips = args.includes('--no-skips');
const roots = args.filter((arg) => !arg.startsWith('--'));

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
  if (noSkips) process.exitCode = 1;
});

function testFiles(root) {
  if (statSync(root).isFile()) return [path.resolve(root)];
  return readdirSync(root, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => path.resolve(root, name));
}
