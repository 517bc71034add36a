import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a project elsewhere that depends on jailbuild. */
function consumer(): string {
  const directory = tempDir();
  mkdirSync(path.join(directory, 'node_modules'));
  symlinkSync(PROJECT, path.join(directory, 'node_modules/jailbuild'));
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  return directory;
}

const PROGRAM = `
import { build, canonicalJson, ERROR_CODES, type ErrorCode, JailbuildError, planRoot } from 'jailbuild';
const manifest = await planRoot({ programs: ['/bin/ls'] });
const sizes: number[] = manifest.entries.flatMap((e) => (e.type === 'file' ? [e.size] : []));
const text: string = canonicalJson(manifest);
let seen = 0;
const { files } = await build({ programs: ['/bin/ls'] }, process.argv[2] ?? '', { onFile: () => seen++ });
const code: ErrorCode | undefined = await build({ programs: ['/no/such'] }, '/no/such').then(
  () => undefined,
  (error: unknown) => (error instanceof JailbuildError ? error.code : undefined),
);
const known: boolean = code !== undefined && ERROR_CODES.includes(code);
console.log(JSON.stringify([sizes.length > 3, text.endsWith('}\\n'), seen === files.length, code, known]));
`;

test('another project can plan and build with the library', () => {
  const directory = consumer();
  const script = PROGRAM.replace(
    /: (number\[\]|string|unknown|boolean|ErrorCode \| undefined)|type ErrorCode, /g,
    '',
  );
  writeFileSync(path.join(directory, 'program.js'), script);
  const { stdout, stderr, status } = exec(
    process.execPath,
    ['program.js', path.join(directory, 'jail')],
    { cwd: directory },
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [true, true, true, 'PROGRAM_NOT_FOUND', true]);
});

test('a strict compiler accepts the declarations', () => {
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
