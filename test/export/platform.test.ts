import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

function platformOf(...programs: readonly string[]): unknown {
  const image = path.join(tempDir(), 'image');
  const { status, stdout, stderr } = jailbuild([
    ...['export', ...programs, '--to', `oci:${image}`, '--terminfo', 'none', '--json'],
  ]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).image.platform;
}

test('an image of a script is for the machine of its interpreter', () => {
  const script = path.join(tempDir(), 'script');
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  assert.deepEqual(platformOf(script), platformOf('sh'));
});
