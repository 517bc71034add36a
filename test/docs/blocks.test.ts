import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isPrinted, runBlocks } from './blocks.js';

describe('parsing blocks that are run', () => {
  test('finds commands, expected output and how to run them', () => {
    const markdown = [
      '```console terminal needs=sshd,rsync',
      '$ one \\',
      '  two',
      'printed',
      'box [~] three',
      '```',
      '```sh',
      'not run',
      '```',
      '```sh run fails',
      'four',
      '```',
    ].join('\n');
    const [typed, plain, ...more] = runBlocks(markdown);
    assert.deepEqual(more, []);
    assert.deepEqual(typed?.steps, [
      { line: 2, command: 'one \\\n  two', output: 'printed\n' },
      { line: 5, command: 'three', output: '' },
    ]);
    assert.deepEqual(
      [typed?.terminal, typed?.fails, typed?.needs],
      [true, false, ['sshd', 'rsync']],
    );
    assert.deepEqual(plain?.steps, [{ line: 11, command: 'four' }]);
    assert.deepEqual([plain?.terminal, plain?.fails], [false, true]);
  });

  test('finds the content of a file', () => {
    const [file, ...more] = runBlocks(
      '```yaml file=site/jail.yaml\nroot: a\n```\n```yaml\nb: c\n```',
    );
    assert.deepEqual(more, []);
    assert.deepEqual([file?.file, file?.text, file?.steps], ['site/jail.yaml', 'root: a', []]);
  });

  test('refuses output without a command', () => {
    assert.throws(() => runBlocks('```console\nprinted\n```'), /line 2: output without a command/);
  });
});

describe('comparing output with the document', () => {
  const same: readonly (readonly [string, string])[] = [
    ['a\nb\n', 'a\nb\n'],
    ['a  b', 'a b'],
    ['a\n...\nd', 'a\nb\nc\nd\n'],
    ['a\n...\nd', 'a\nd\n'],
    ['size … of x', 'size 17 MiB of x'],
    ['151344 cb30d69b2424 libtinfo.so.6.4', '99999 aaaaaaaaaaaa libtinfo.so.6.5'],
    ['1 ? 00:00:00 bash', '1 ? 00:00:07 bash'],
  ];
  for (const [expected, printed] of same) {
    test(JSON.stringify([expected, printed]), () => assert.ok(isPrinted(expected, printed)));
  }
  const others: readonly (readonly [string, string])[] = [
    ['a\nb', 'a\n'],
    ['a', 'a\nb\n'],
    ['status 7', 'status 8'],
    ['a\n...\nd', 'a\nb\n'],
    ['size … of x', 'size 17\nof x'],
    ['a.c', 'abc'],
    ['', 'a'],
  ];
  for (const [expected, printed] of others) {
    test(`not ${JSON.stringify([expected, printed])}`, () =>
      assert.ok(!isPrinted(expected, printed)));
  }
});
