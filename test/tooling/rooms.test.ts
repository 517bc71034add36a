import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { importRules, ROOMS, RULES_FILE } from '../../src/tooling/rooms.js';
import { PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

/**
 * Returns whether Biome refuses an import of `target` by a file of a room, in a tree with only that
 * file.
 */
function isRefused(room: string, target: string): boolean {
  const tree = tempDir();
  for (const file of ['.biome.jsonc', 'src/tooling/rooms.json']) {
    mkdirSync(path.dirname(path.join(tree, file)), { recursive: true });
    copyFileSync(path.join(PROJECT, file), path.join(tree, file));
  }
  mkdirSync(path.join(tree, 'src', room), { recursive: true });
  writeFileSync(path.join(tree, 'src', room, 'file.ts'), `import '${target}';\n`);
  const biome = path.join(PROJECT, 'node_modules/.bin/biome');
  const { stdout, stderr } = spawnSync(biome, ['lint', '--vcs-enabled=false', 'src'], {
    cwd: tree,
    encoding: 'utf8',
  });
  const output = `${stdout}${stderr}`;
  assert.match(output, /Checked 2 files/);
  return output.includes('must not import this');
}

describe('the import rules', () => {
  test('match the table', () => {
    assert.equal(readFileSync(RULES_FILE, 'utf8'), importRules(), 'run `npm run rooms`');
  });

  test('cover every room of src', () => {
    const unlisted = readdirSync(path.join(PROJECT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !['native', 'tooling'].includes(entry.name))
      .map(({ name }) => name)
      .filter((name) => !Object.hasOwn(ROOMS, name));
    assert.deepEqual(unlisted, []);
  });

  for (const [room, target, refused] of [
    ['text', '../fs/file-view.js', true],
    ['manifest', '../fs/file-view.js', false],
    ['resolve/data', '../../jail/lock.js', true],
    ['resolve/data', '../../elf/parse.js', false],
    ['jail/engine', '../record/fingerprint.js', true],
    ['jail/record', '../engine/operations.js', false],
    ['library', '../cli/main.js', true],
    ['jail', 'yargs', true],
    ['cli', 'yargs', false],
  ] as const) {
    test(`${refused ? 'refuse' : 'allow'} ${target} in src/${room}`, () => {
      assert.equal(isRefused(room, target), refused);
    });
  }
});
