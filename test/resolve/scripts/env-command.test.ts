import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isEnvCommand, parseEnvArgument } from '../../../src/resolve/scripts/env-command.js';
import { exec } from '../../support/cli.js';
import { needs } from '../../support/need.js';
import { tempDir } from '../../support/temp-dir.js';

/** Arguments of env, and the program that env starts; undefined if it starts none. */
const CASES: readonly (readonly [string | undefined, string | undefined])[] = [
  ['found', 'found'],
  ['-S found', 'found'],
  ['-Sfound -u', 'found'],
  ['--split-string=found', 'found'],
  ['--split-string found', undefined],
  ['-S A=b found c', 'found'],
  ['-S A="x y" B=\'z w\' found', 'found'],
  ['-S -i PATH=DIR found', 'found'],
  ['-iS PATH=DIR found', 'found'],
  ['-vS found', 'found'],
  ['-S -u HOME found', 'found'],
  ['-S --unset=HOME -C / found', 'found'],
  ['-S - PATH=DIR found', 'found'],
  ['-S -- found', 'found'],
  ['-S fo"un"d', 'found'],
  ['-S A=b\\_found', 'found'],
  ['-S "A=\\t\\"\\_x" found # comment', 'found'],
  ['-S found\\cignored', 'found'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of env
  ['-S A=${HOME} found', 'found'],
  ['found -u', undefined],
  ['-S "found', undefined],
  ['-S A=$HOME found', undefined],
  ['-S A=\\q found', undefined],
  ['-Z found', undefined],
  ['--no-such-option', undefined],
];

test('the program that env starts is found', () => {
  for (const [argument, program] of CASES) {
    const result = parseEnvArgument(argument);
    assert.equal(isEnvCommand(result) ? result.program : undefined, program, argument);
  }
});

test('env searches the PATH set on its command line', () => {
  const result = parseEnvArgument('-S PATH=/a:/b found');
  assert.deepEqual(result, { program: 'found', searchPath: ['/a', '/b'] });
});

test('an env that would start the script forever is reported', () => {
  for (const argument of [undefined, 'A=b', 'A=b found', '-S A=b', '-i']) {
    const result = parseEnvArgument(argument);
    assert.match(isEnvCommand(result) ? '' : result.problem, /without end/, argument);
  }
});

describe('compared with the env of the host', needs('env'), () => {
  const directory = tempDir();
  const bin = path.join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(path.join(bin, 'found'), '#!/bin/sh\necho "found ran"\n', { mode: 0o755 });

  test('each command line starts the same program, or fails', () => {
    for (const [argument, program] of CASES) {
      if (argument === undefined) continue;
      const word = argument.replace('DIR', bin);
      const { stdout, status } = exec('env', [word, '/no/such/script'], {
        env: { PATH: `${bin}:/usr/bin:/bin`, HOME: '/root' },
      });
      assert.equal(stdout.includes('found ran'), program !== undefined, argument);
      assert.equal(status === 0, program !== undefined, argument);
    }
  });
});
