import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../support/cli.js';

const read = (name: string): string => readFileSync(path.join(PROJECT, name), 'utf8');

test('docs/library.api.md is the public surface as it is built: `npm run api` brings it up to date', () => {
  assert.equal(read('dist/library.api.md'), read('docs/library.api.md'));
});

test('the declarations need those of Node alone', () => {
  const imports = read('dist/index.d.ts').match(/^import .*|import\(.*?\)|<reference .*/gm) ?? [];
  assert.deepEqual(
    imports.filter((line) => !/['"]node(:[^'"]*)?['"]/.test(line)),
    [],
  );
});

test('every function and type of the public surface has a comment', () => {
  assert.doesNotMatch(read('docs/library.api.md'), /^\/\/ @public \(undocumented\)$/m);
});
