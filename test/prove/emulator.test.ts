import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { runnableCommand } from '../../src/prove/emulator.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

test('a link in a jail does not lead the emulator outside', needs('qemu-aarch64-static'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'jail');
  const outside = path.join(directory, 'outside');
  mkdirSync(path.join(root, 'bin'), { recursive: true });
  const program = readFileSync(process.execPath).subarray(0, 4096);
  // e_machine: EM_AARCH64
  program.writeUInt16LE(183, 18);
  writeFileSync(path.join(root, 'bin/program'), program);
  const command = () => runnableCommand(root, {}, ['/bin/program', 'word']);
  symlinkSync(outside, path.join(root, '.qemu-aarch64'));
  command();
  assert.equal(existsSync(outside), false);
  assert.ok(lstatSync(path.join(root, '.qemu-aarch64')).isSymbolicLink());
});
