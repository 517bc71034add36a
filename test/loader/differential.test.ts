import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareWithLoaders } from '../campaign/differential.js';

/** One in this many files is compared. `npm run campaign:loader` prints all differences. */
const EVERY = 1;

test('jailbuild finds the same libraries as the loaders, under the same names and in the same order', async () => {
  const { compared, names, differences } = await compareWithLoaders(['/usr'], EVERY);
  assert.ok(compared >= 250, `${compared} files compared`);
  assert.ok(names > compared, `${names} names`);
  for (const { file, ours, theirs } of differences.slice(0, 5)) {
    assert.deepEqual(ours, theirs, file);
  }
  assert.equal(differences.length, 0);
});
