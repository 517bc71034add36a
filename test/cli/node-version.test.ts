import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

describe('a Node that is too old is refused', () => {
  const { engines } = JSON.parse(readFileSync(path.join(PROJECT, 'package.json'), 'utf8'));
  const [, major, minor] = /^>=(\d+)\.(\d+)$/.exec(engines.node) ?? [];
  const run = (version: string) => {
    const pretend = path.join(tempDir(), 'pretend.cjs');
    writeFileSync(
      pretend,
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`,
    );
    return exec(process.execPath, ['--require', pretend, JAILBUILD, '--version']);
  };

  for (const version of ['18.20.4', `${major}.${Number(minor) - 1}.0`]) {
    test(version, () => {
      const { status, stdout, stderr } = run(version);
      assert.equal(
        stderr,
        `jailbuild: needs Node ${major}.${minor} or later, and this is ${version}\n`,
      );
      assert.equal(stdout, '');
      assert.equal(status, 1);
    });
  }

  test('every later version is accepted', () => {
    for (const version of [`${major}.${minor}.0`, '22.0.0', '24.1.0'])
      assert.equal(run(version).status, 0, version);
  });
});
