import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { TIME_TOLERANCE } from '../../src/manifest/differences.js';
import { STANDARD_PATH } from '../../src/manifest/standard-path.js';
import { PROJECT } from '../support/cli.js';

/** Returns the value of a macro in a C source. */
function macro(file: string, name: string): string | undefined {
  const source = readFileSync(path.join(PROJECT, 'src/native', file), 'utf8');
  return new RegExp(`^#define ${name} (.+)$`, 'm').exec(source)?.[1];
}

describe('facts repeated in the native programs are equal', () => {
  test('the tolerance for times, in milliseconds', () => {
    assert.equal(Number(macro('engine/check.c', 'TOLERANCE')), Number(TIME_TOLERANCE) / 1e6);
  });

  test('the standard PATH', () => {
    assert.equal(
      macro('launcher/child.c', 'DEFAULT_PATH'),
      JSON.stringify(STANDARD_PATH.join(':')),
    );
  });
});
