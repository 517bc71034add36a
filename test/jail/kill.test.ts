import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { killAtWork } from '../campaign/kill.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();

/** `npm run campaign:kill` tries many more. */
const POINTS = 24;

for (const started of ['script', 'front'] as const) {
  test(`a build of the ${started} that is killed leaves only old or new files, and the next build completes the jail`, {
    ...needsRoot('strace'),
    // The time limit of the whole file: the kills wait for the output of strace.
    timeout: 1_800_000,
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
    // Otherwise the test proves nothing: the moments were measured in an uninterrupted run.
    assert.ok(sum('killed') > POINTS / 2, JSON.stringify(results));
    assert.ok(sum('partly') > 0, JSON.stringify(results));
  });
}
