import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareWithLoaders } from '../campaign/differential.js';

/** Take one file of so many. `npm run campaign:loader` prints what differs in full. */
const EVERY = 1;

test('our closures are those of the loaders, name by name and in their order', async () => {
  const { compared, names, differences } = await compareWithLoaders(['/usr'], EVERY);
  assert.ok(compared >= 250, `${compared} files compared`);
  assert.ok(names > compared, `${names} names`);
  for (const { file, ours, theirs } of differences.slice(0, 5)) {
    assert.deepEqual(ours, theirs, file);
  }
  assert.equal(differences.length, 0);
});
