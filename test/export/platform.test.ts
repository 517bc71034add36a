import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { tempDir } from '../support/temp-dir.js';

function platformOf(...programs: readonly string[]): unknown {
  const image = path.join(tempDir(), 'image');
  const { status, stdout, stderr } = jailbuild([
    ...['export', ...programs, '--to', `oci:${image}`, '--terminfo', 'none', '--json'],
  ]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).image.platform;
}

test('an image of a script is for the architecture of its interpreter', () => {
  const script = path.join(tempDir(), 'script');
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  assert.deepEqual(platformOf(script), platformOf('sh'));
});

test('--platform is refused if the source is not an image', () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const page = path.join(directory, 'page.html');
  for (const words of [
    [jail, 'true'],
    [jail, 'true', '--dry-run'],
    [jail, 'true', '--sysroot', '/'],
    ['tree', 'true'],
    ['why', 'true', 'libc.so.6'],
    ['report', 'true', '--output', page],
    ['diff', 'true', 'cat'],
  ]) {
    fails('USAGE', /^--platform linux\/arm64 chooses .* --sysroot docker:/, [
      ...words,
      '--platform',
      'linux/arm64',
    ]);
  }
  assert.ok(!existsSync(jail) && !existsSync(page));
});
