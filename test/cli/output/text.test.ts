import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainsText } from '../../../src/cli/output/chains-text.js';
import { printsUnicode } from '../../../src/cli/output/character-set.js';
import { formatSize, plural, printable } from '../../../src/cli/output/text.js';
import { sizedTreeText, treeText } from '../../../src/cli/output/tree-text.js';
import { folded } from '../../../src/cli/report-error.js';
import type { DependencyNode } from '../../../src/resolve/dependency-tree.js';

test('control characters do not reach a terminal', () => {
  assert.equal(printable('a\u001b[31mb\nc\u009bd é'), 'a\\x1b[31mb\\x0ac\\x9bd é');
});

test('sizes are in binary units with one digit', () => {
  assert.equal(formatSize(17), '17 B');
  assert.equal(formatSize(1024), '1.0 KiB');
  assert.equal(formatSize(1536 * 1024), '1.5 MiB');
});

test('one is singular, every other number plural', () => {
  assert.equal(plural(1, 'file'), '1 file');
  assert.equal(plural(0, 'file'), '0 files');
  assert.equal(plural(2, 'entry', 'entries'), '2 entries');
});

test('the first locale variable set determines the character set; without any it is UTF-8', () => {
  const cases: readonly (readonly [NodeJS.ProcessEnv, boolean])[] = [
    [{}, true],
    [{ LANG: '' }, true],
    [{ LANG: 'de_DE.UTF-8' }, true],
    [{ LANG: 'en_US.utf8' }, true],
    [{ LANG: 'ca_ES.UTF-8@valencia' }, true],
    [{ LANG: 'C' }, false],
    [{ LANG: 'de_DE' }, false],
    [{ LANG: 'de_DE.ISO-8859-1' }, false],
    [{ LANG: 'C.UTF-8', LC_ALL: 'POSIX' }, false],
    [{ LANG: 'C', LC_CTYPE: 'C.UTF-8' }, true],
  ];
  for (const [env, expected] of cases)
    assert.equal(printsUnicode(env), expected, JSON.stringify(env));
});

test('trees and chains can be drawn in ASCII', () => {
  const leaf = { name: 'b', path: '/b', needs: [] };
  const root = {
    name: '',
    path: '/a',
    needs: [
      { ...leaf, needs: [leaf] },
      { ...leaf, name: 'c', path: '/c' },
    ],
  };
  const plain = (_: string, text: string) => text;
  assert.equal(treeText([root], plain, false), '/a\n|-- /b\n|   `-- /b\n`-- /c\n');
  const reason = { kind: 'requested', as: 'a' } as const;
  const chain = [
    { path: '/a', reason },
    { path: '/b', reason },
  ];
  assert.match(
    chainsText({ path: '/b', chains: [chain], more: false }, false),
    /\n {2}`- \/b: requested as a\n$/,
  );
});

test('sizes come before the tree, and shared files are counted once', () => {
  const base = { name: 'base', path: '/base', file: '/base', size: 10, total: 10, needs: [] };
  const gone = {
    name: 'gone',
    searched: [{ rule: 'default', path: '/lib/gone' } as const],
    needs: [],
  };
  const root = (path: string, ...needs: readonly DependencyNode[]) =>
    ({ name: path, path, file: path, size: 2048, total: 2058, needs }) as const;
  const plain = (_: string, text: string) => text;
  assert.deepEqual(
    sizedTreeText([root('/a', base), root('/b', base, gone)], plain, false).split('\n'),
    [
      '      SIZE      TOTAL',
      '   2.0 KiB    2.0 KiB  /a',
      '      10 B       10 B  `-- /base',
      '   2.0 KiB    2.0 KiB  /b',
      '      10 B       10 B  |-- /base',
      '                       `-- gone: not found; searched',
      '                               /lib/gone [default]',
      '              4.0 KiB  all, each file once',
      '',
    ],
  );
});

test('a warning shared by many files is one line', () => {
  const of = (...names: readonly string[]) => names.map((name) => `/${name}: has no friends`);
  assert.deepEqual(folded([...of('a', 'b', 'c'), 'x']), [...of('a', 'b', 'c'), 'x']);
  assert.deepEqual(folded(['x', ...of('a', 'b', 'c', 'd'), 'y']), [
    'x',
    '/a: has no friends (and 3 files more)',
    'y',
  ]);
});
