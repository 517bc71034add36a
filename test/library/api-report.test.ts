import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../support/cli.js';

const read = (name: string): string => readFileSync(path.join(PROJECT, name), 'utf8');

test('docs/library.api.md matches the built public surface: run `npm run api`', () => {
  const [built, kept] = ['dist', 'docs'].map((name) => read(`${name}/library.api.md`).split('\n'));
  const changed = built?.filter((line) => !kept?.includes(line));
  const gone = kept?.filter((line) => !built?.includes(line));
  assert.deepEqual(
    { changed, gone, length: built?.length },
    { changed: [], gone: [], length: kept?.length },
  );
});

test('the declarations depend only on those of Node', () => {
  const imports = read('dist/index.d.ts').match(/^import .*|import\(.*?\)|<reference .*/gm) ?? [];
  assert.deepEqual(
    imports.filter((line) => !/['"]node(:[^'"]*)?['"]/.test(line)),
    [],
  );
});

test('every function and type of the public surface has a doc comment', () => {
  assert.doesNotMatch(read('docs/library.api.md'), /^\/\/ @public \(undocumented\)$/m);
});
