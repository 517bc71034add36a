import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

const RUNNER = path.join(PROJECT, 'src/tooling/test.mjs');

/** Runs tests with the runner of this project, and returns its status and its lists and counts. */
function runTests(text: string, env: NodeJS.ProcessEnv = {}) {
  const directory = tempDir();
  writeFileSync(
    path.join(directory, 'some.test.ts'),
    `import { before, describe, test } from 'node:test';\n${text}`,
  );
  // Within a test, Node's runner would report to the outer one.
  const { NODE_TEST_CONTEXT: _, REPEAT: __, ...outer } = process.env;
  const { status, stdout } = exec(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), RUNNER, directory],
    {
      cwd: directory,
      env: { ...outer, ...env },
    },
  );
  return { status, end: stdout.slice(stdout.search(/\n(Skipped|Unstable|Failed):\n/)) };
}

test('the test runner lists failed tests with their files, and counts each once', () => {
  const { status, end } = runTests(`
    const fail = () => { throw new Error('x'); };
    describe('suite', () => { test('one', fail); test('two', () => {}); });
    test('outer', (t) => t.test('inner', fail));
    describe('hooks', () => { before(fail); test('three', () => {}); });
    test('four', { skip: 'needs four' }, () => {});
  `);
  assert.equal(status, 1);
  const failed = ['one', 'inner', 'three', 'hooks'].map((name) => `  some.test.ts: ${name}\n`);
  assert.equal(
    end,
    `\nSkipped:\n  four: needs four\n\nFailed:\n${failed.join('')}\n1 passed, 4 failed, 1 skipped\n`,
  );
});

test('the test runner fails with NO_SKIPS if a test is skipped', () => {
  const text = "test('one', () => {}); test('two', { skip: 'needs two' }, () => {});";
  const end = '\nSkipped:\n  two: needs two\n\n1 passed, 0 failed, 1 skipped\n';
  assert.deepEqual(runTests(text, { NO_SKIPS: '' }), { status: 0, end });
  assert.deepEqual(runTests(text, { NO_SKIPS: '1' }), { status: 1, end });
});

test('the test runner repeats files with failed tests with REPEAT, and says what then passed', () => {
  const text = `
    import { existsSync, writeFileSync } from 'node:fs';
    test('one', () => { if (!existsSync('made')) { writeFileSync('made', ''); throw new Error('x'); } });
    test('two', () => {});
  `;
  const unstable = '\nUnstable:\n  some.test.ts: one\n';
  const failed = '\nFailed:\n  some.test.ts: three\n';
  const end = `${unstable}\n2 passed, 0 failed, 0 skipped\n`;
  assert.deepEqual(runTests(text, { REPEAT: '1' }), { status: 0, end });
  const without = '\nFailed:\n  some.test.ts: one\n\n1 passed, 1 failed, 0 skipped\n';
  assert.deepEqual(runTests(text), { status: 1, end: without });
  const always = `${text} test('three', () => { throw new Error('x'); });`;
  const both = `${unstable}${failed}\n2 passed, 1 failed, 0 skipped\n`;
  assert.deepEqual(runTests(always, { REPEAT: '1' }), { status: 1, end: both });
});
