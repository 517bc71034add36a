// Usage: node --import tsx src/tooling/test.mjs [unit|e2e|slow|FILE|DIRECTORY...]
// Runs the tests, lists skipped ones with their reasons, and ends with a line of totals. With
// NO_SKIPS in the environment, a skipped test is a failure.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const FILE_TIMEOUT = 45 * 60 * 1000;

/** Tests of single rooms on their sources; together they take seconds. */
const UNIT = [
  /^(cli\/output|elf|manifest|plan|text)\//,
  /^resolve\/(?!advice)/,
  /^docs\/(?!documents)/,
  /^evidence\/packages\/license/,
  /^export\/(compression|cpio|tar)\./,
  /^fs\/sysroot/,
  /^jail\/(fingerprint|record|target|write-record|write)\./,
  /^library\/arguments/,
  /^loader\/hostile\./,
];
/** Tests with many cases, other distributions, other machines, or real servers. */
const SLOW = [
  /^(ci|jobs)\//,
  /^cli\/completion/,
  /^docs\/documents/,
  /^e2e\/(foreign|profile-.*|run-time-.*)\.test/,
  /^export\/(images|initramfs|portable-boot|reproducible)\./,
  /^jail\/kill\./,
  /^launcher\/(analysis|escape-options|kernel)\./,
  /^prove\/yama\./,
  /^loader\/(differential|foreign-rules|fuzz|in-jail|random-roots|rules)\./,
];
const SPEEDS = ['unit', 'e2e', 'slow'];

// It more than doubles Node's start time, and causes a warning for users who may not read the file.
delete process.env.NODE_EXTRA_CA_CERTS;

const words = process.argv.slice(2);
const files = [...new Set((words.length === 0 ? ['test'] : words).flatMap(testFiles))];
const skipped = [];
const count = { passed: 0, failed: 0, skipped: 0 };

const results = run({ files, concurrency: 2, timeout: FILE_TIMEOUT });
results.on('test:fail', ({ details }) => {
  process.exitCode = 1;
  if (details.type !== 'suite') count.failed++;
});
results.on('test:pass', ({ name, skip, details }) => {
  const isSkipped = skip !== undefined && skip !== false;
  if (isSkipped) skipped.push(`${name}: ${skip}`);
  if (isSkipped) count.skipped++;
  else if (details.type !== 'suite') count.passed++;
});
results.compose(new spec()).pipe(process.stdout);
results.on('end', () => {
  if (process.env.NO_SKIPS && skipped.length > 0) process.exitCode = 1;
  process.on('exit', () => {
    const list = skipped.map((line) => `  ${line}\n`).join('');
    const { passed, failed } = count;
    process.stdout.write(
      `${list === '' ? '' : `\nSkipped:\n${list}`}\n${passed} passed, ${failed} failed, ${count.skipped} skipped\n`,
    );
  });
});

function testFiles(word) {
  if (SPEEDS.includes(word)) return testsIn('test').filter((name) => speedOf(name) === word);
  return statSync(word).isFile() ? [path.resolve(word)] : testsIn(word);
}

function testsIn(directory) {
  return readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => path.resolve(directory, name));
}

function speedOf(file) {
  const name = path.relative('test', file);
  if (UNIT.some((pattern) => pattern.test(name))) return 'unit';
  return SLOW.some((pattern) => pattern.test(name)) ? 'slow' : 'e2e';
}
