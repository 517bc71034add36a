// Usage: node --import tsx src/tooling/test.mjs [unit|e2e|slow|node|FILE|DIRECTORY...]
// Runs the tests, lists the slowest files if there are many, skipped tests with their reasons, and
// failed ones with their files, and ends with a line of totals. With NO_SKIPS in the environment, a
// skipped test is a failure; with REPEAT, a few files with failed tests run once more, alone, and what
// then passes is listed as unstable: a fault to look for, but not a failure. `node` stands for the unit
// and e2e tests that depend on Node.
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
  /^launcher\/(analysis|escape-options|kernel|oci-runtime-kernel)\./,
  /^prove\/yama\./,
  /^loader\/(differential|foreign-rules|fuzz|in-jail|random-roots|rules)\./,
];
/** Among the tests of any speed, those whose result depends on the native programs, not on Node. */
const NATIVE = [
  /^jail\/faults\./,
  /^launcher\/(bubblewrap|denied|escape|invoke-ns|landlock|network|oci-runtime|options|overlay)/,
  /^prove\/(emulator|observer|served|system-calls)\./,
];
/** As many of the slowest files are listed, if at least as many are run. */
const MANY_FILES = 20;
/** With more failing files, something is wrong that a repetition would only hide. */
const MOST_REPEATED = 3;
const SPEEDS = ['unit', 'e2e', 'slow'];

// It more than doubles Node's start time, and causes a warning for users who may not read the file.
delete process.env.NODE_EXTRA_CA_CERTS;

const words = process.argv.slice(2);
const files = [...new Set((words.length === 0 ? ['test'] : words).flatMap(testFiles))];
/** Milliseconds, by file. */
const times = new Map();

let { passed, failed, skipped, isFailed } = await attempt(files, 2);
const repeated = [...new Set(failed.map(({ file }) => file))];
let unstable = [];
if (process.env.REPEAT && repeated.length > 0 && repeated.length <= MOST_REPEATED) {
  const again = await attempt(repeated, 1);
  const isAgain = ({ file, name }) =>
    again.failed.some((other) => other.file === file && other.name === name);
  unstable = failed.filter((test) => !isAgain(test));
  passed += unstable.length;
  ({ failed, isFailed } = again);
}
if (isFailed || (process.env.NO_SKIPS && skipped.length > 0)) process.exitCode = 1;
process.on('exit', () => {
  const counts = `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
  const lists = [
    list('Slowest', slowest()),
    list('Skipped', skipped),
    list('Unstable', unstable.map(lineOf)),
    list('Failed', failed.map(lineOf)),
  ];
  process.stdout.write(`${lists.join('')}\n${counts}\n`);
});

/** Runs files, and returns what became of their tests. */
function attempt(names, concurrency) {
  const result = { passed: 0, failed: [], skipped: [], isFailed: false };
  const events = run({ files: names, concurrency, timeout: FILE_TIMEOUT });
  events.on('test:fail', (event) => {
    result.isFailed = true;
    addTime(event);
    const { details, file, name } = event;
    // Those are counted themselves.
    if (details.error.failureType === 'subtestsFailed') return;
    result.failed.push({ file, name });
  });
  events.on('test:pass', (event) => {
    addTime(event);
    const { name, skip, details } = event;
    const isSkipped = skip !== undefined && skip !== false;
    if (isSkipped) result.skipped.push(`${name}: ${skip}`);
    else if (details.type !== 'suite') result.passed++;
  });
  events.compose(new spec()).pipe(process.stdout, { end: false });
  return new Promise((resolve) => events.on('end', () => resolve(result)));
}

function lineOf({ file, name }) {
  return `${nameOf(file)}: ${name}`;
}

function addTime({ nesting, file, details }) {
  if (nesting > 0) return;
  times.set(file, (times.get(file) ?? 0) + details.duration_ms);
}

function slowest() {
  if (files.length < MANY_FILES) return [];
  const sorted = [...times].sort(([, one], [, other]) => other - one).slice(0, MANY_FILES);
  return sorted.map(([file, time]) => `${(time / 1000).toFixed(1)} s ${nameOf(file)}`);
}

function nameOf(file) {
  return path.relative('', file ?? '');
}

function list(title, lines) {
  return lines.length === 0 ? '' : `\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function testFiles(word) {
  if (word === 'node') return ['unit', 'e2e'].flatMap(testFiles).filter((name) => !isNative(name));
  if (SPEEDS.includes(word)) return testsIn('test').filter((name) => speedOf(name) === word);
  return statSync(word).isFile() ? [path.resolve(word)] : testsIn(word);
}

function testsIn(directory) {
  return readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => path.resolve(directory, name));
}

function isNative(file) {
  const name = path.relative('test', file);
  return NATIVE.some((pattern) => pattern.test(name));
}

function speedOf(file) {
  const name = path.relative('test', file);
  if (UNIT.some((pattern) => pattern.test(name))) return 'unit';
  return SLOW.some((pattern) => pattern.test(name)) ? 'slow' : 'e2e';
}
