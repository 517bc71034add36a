import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { STANDARD_PATH } from '../../src/manifest/standard-path.js';
import { PROJECT } from '../support/cli.js';

for (const file of [
  ...['src/native/launcher/child.c', 'src/native/front/exec.c'],
  'templates/profiles/shell.yaml',
]) {
  test(`${file} contains the standard PATH`, () => {
    const found = readFileSync(path.join(PROJECT, file), 'utf8').match(
      /\/[a-z/:]*\/sbin:[a-z/:]+/g,
    );
    assert.deepEqual(found, [STANDARD_PATH.join(':')]);
  });
}
