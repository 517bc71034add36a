import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, PROJECT } from './support/cli.js';
import { tempDir } from './support/temp-dir.js';

/** A project elsewhere that has jailbuild as a dependency. */
function consumer(): string {
  const directory = tempDir();
  mkdirSync(path.join(directory, 'node_modules'));
  symlinkSync(PROJECT, path.join(directory, 'node_modules/jailbuild'));
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  return directory;
}

const PROGRAM = `
import { build, canonicalJson, JailbuildError, plan, resolve } from 'jailbuild';
const closure = resolve({ programs: ['/bin/ls'] });
const manifest = plan(closure);
const sizes: number[] = manifest.entries.flatMap((e) => (e.type === 'file' ? [e.size] : []));
const text: string = canonicalJson(manifest);
const { files } = await build({ programs: ['/bin/ls'] }, process.argv[2] ?? '');
const code: string = await build({ programs: ['/no/such'] }, '/no/such').then(
  () => 'none',
  (error: unknown) => (error instanceof JailbuildError ? error.code : 'other'),
);
console.log(JSON.stringify([sizes.length > 3, text.endsWith('}\\n'), files.length > 3, code]));
`;

test('the library resolves, plans and builds, from another project', () => {
  const directory = consumer();
  const script = PROGRAM.replace(/: (number\[\]|string|unknown)/g, '');
  writeFileSync(path.join(directory, 'program.js'), script);
  const { stdout, stderr, status } = exec(
    process.execPath,
    ['program.js', path.join(directory, 'jail')],
    { cwd: directory },
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [true, true, true, 'PROGRAM_NOT_FOUND']);
});

test('its declarations are enough for a strict compiler', () => {
  const directory = consumer();
  writeFileSync(path.join(directory, 'program.ts'), PROGRAM);
  const { stdout, status } = exec(
    path.join(PROJECT, 'node_modules/.bin/tsc'),
    [
      ...['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'],
      ...['--types', 'node', '--typeRoots', path.join(PROJECT, 'node_modules/@types')],
      'program.ts',
    ],
    { cwd: directory },
  );
  assert.equal(stdout, '');
  assert.equal(status, 0);
});
