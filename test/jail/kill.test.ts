import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { killAtWork } from '../campaign/kill.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();

/** Many more with `npm run campaign:kill`. */
const POINTS = 24;

for (const started of ['script', 'front'] as const) {
  test(`a build of the ${started} that is killed leaves old or new files, and the next one puts all right`, {
    ...needsRoot('strace'),
    // No more than the whole file's: the kills wait for what strace tells.
    timeout: 300_000,
  }, async () => {
    const place = path.join(directory, started);
    mkdirSync(place);
    const results = await killAtWork(place, POINTS, 1, started);
    assert.deepEqual(
      results.flatMap(({ failures }) => failures),
      [],
    );
    const sum = (field: 'killed' | 'partly') =>
      results.reduce((total, result) => total + result[field], 0);
    // Else it was no test: the moments are those of an uninterrupted run.
    assert.ok(sum('killed') > POINTS / 2, JSON.stringify(results));
    assert.ok(sum('partly') > 0, JSON.stringify(results));
  });
}
