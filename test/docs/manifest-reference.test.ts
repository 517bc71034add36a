import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../support/cli.js';

const read = (name: string) => readFileSync(path.join(PROJECT, name), 'utf8');

test('docs/manifest.md describes every field, type, reason and rule of the manifest', () => {
  // Comments contain code words of their own.
  const types = read('src/manifest/manifest.ts').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const document = read('docs/manifest.md');
  const fields = [...types.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name);
  const words = [...types.matchAll(/'([a-z][\w./-]*)'/g)]
    .map(([, word]) => word ?? '')
    .filter((word) => !word.startsWith('../'));
  assert.ok(fields.length > 40 && words.length > 40);
  const lacking = [...fields, ...words].filter((word) => {
    const code = new RegExp(`\`${word?.replaceAll('.', '\\.')}\``);
    return !code.test(document) && !document.includes(`"${word}"`);
  });
  assert.deepEqual([...new Set(lacking)], []);
});
