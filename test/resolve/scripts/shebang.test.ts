import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isShebang, parseShebang } from '../../../src/resolve/scripts/shebang.js';
import { exec } from '../../support/cli.js';
import { needs } from '../../support/need.js';
import { tempDir } from '../../support/temp-dir.js';

const parse = (line: string) => parseShebang(Buffer.from(line, 'latin1'));

test('a shebang line has an interpreter and at most one argument', () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ['#!/bin/sh\n', '/bin/sh', undefined],
    ['#! \t/bin/sh \t\n', '/bin/sh', undefined],
    ['#!/bin/sh', '/bin/sh', undefined],
    ['#!/usr/bin/awk -f\n', '/usr/bin/awk', '-f'],
    ['#!/usr/bin/env -S  python3  -u  \n', '/usr/bin/env', '-S  python3  -u'],
    ['#!bin/sh\n', 'bin/sh', undefined],
    [`#!/bin/sh ${'x'.repeat(400)}`, '/bin/sh', 'x'.repeat(255 - 10)],
    ['#!/bin/sh\r\n', '/bin/sh\r', undefined],
  ];
  for (const [line, interpreter, argument] of cases) {
    assert.deepEqual(parse(line), { interpreter, argument }, JSON.stringify(line));
  }
});

test('lines that Linux refuses are refused', () => {
  for (const line of ['#!', '#!\n', '#! \t \n', `#!${' '.repeat(300)}`, `#!/${'x'.repeat(254)}`]) {
    assert.ok(!isShebang(parse(line)), JSON.stringify(line));
  }
  assert.ok(isShebang(parse(`#!/${'x'.repeat(252)}`)), '255 bytes up to the end of the file');
});

/** Executes each file without the shell fallback of execvp(3), and reports errno if that fails. */
const RUNNER = `
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    pid_t child = fork();
    if (child == 0) {
      char *args[] = {argv[i], "tail", NULL};
      char *env[] = {NULL};
      execve(argv[i], args, env);
      printf("errno %d", errno);
      fflush(stdout);
      _exit(0);
    }
    waitpid(child, NULL, 0);
    putchar(2);
    fflush(stdout);
  }
  return 0;
}
`;

/** Prints its arguments, each after a byte 1. */
const INTERPRETER = `
#include <stdio.h>
int main(int argc, char **argv) {
  for (int i = 0; i < argc; i++) printf("%s%c", argv[i], 1);
  return 0;
}
`;

const ENOENT = 2;
const ENOEXEC = 8;
const EACCES = 13;

describe('compared with the running kernel', needs('cc'), () => {
  const directory = tempDir();
  const compile = (name: string, source: string): string => {
    const program = path.join(directory, name);
    writeFileSync(`${program}.c`, source);
    assert.equal(exec('cc', ['-o', program, `${program}.c`]).status, 0);
    return program;
  };
  /** Reproducible numbers below `limit` (a linear congruential generator). */
  const numbers = (seed: number) => {
    let state = seed;
    return (limit: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
  };

  test('random lines are read as the kernel reads them', () => {
    const runner = compile('runner', RUNNER);
    const interpreter = compile('interpreter', INTERPRETER);
    const random = numbers(25);
    const pieces = [
      ...[' ', '\t', '  ', '\n', '\0', '\r', 'x', '-f', 'a b', '#!', '/'],
      ...[' '.repeat(180), 'y'.repeat(200), 'z'.repeat(252 - interpreter.length)],
    ];
    const scripts = Array.from({ length: 600 }, (_, index) => {
      let line = '#!';
      const pick = () => pieces[random(pieces.length)] ?? '';
      for (let count = random(3); count > 0; count--) line += random(2) === 0 ? ' ' : pick();
      if (random(12) > 0) line += interpreter;
      for (let count = random(6); count > 0; count--) line += pick();
      if (random(2) === 0) line += '\n';
      const file = path.join(directory, `script-${index}`);
      writeFileSync(file, line, 'latin1');
      chmodSync(file, 0o755);
      return { file, line };
    });
    const { stdout } = exec(
      runner,
      scripts.map(({ file }) => file),
      { cwd: directory },
    );
    const results = stdout.split('\x02');
    let ran = 0;
    let refused = 0;
    scripts.forEach(({ file, line }, index) => {
      const result = results[index] ?? '';
      const parsed = parse(line);
      const what = `${JSON.stringify(line)}: ${JSON.stringify(parsed)} ${JSON.stringify(result)}`;
      if (!isShebang(parsed)) {
        refused++;
        // Linux tries to open an empty name before a zero byte.
        assert.ok([ENOEXEC, EACCES].map((errno) => `errno ${errno}`).includes(result), what);
      } else if (path.normalize(parsed.interpreter) === interpreter) {
        ran++;
        const words = [parsed.interpreter, parsed.argument, file, 'tail'];
        const expected = words.filter((word) => word !== undefined).map((word) => `${word}\x01`);
        assert.equal(result, expected.join(''), what);
      } else {
        assert.match(result, /^errno \d+$/, what);
        assert.notEqual(result, `errno ${ENOEXEC}`, what);
      }
    });
    assert.ok(ran > 100 && refused > 20, `${ran} ran, ${refused} refused`);
  });

  test('a script with a missing interpreter fails with ENOENT, not ENOEXEC', () => {
    const runner = compile('runner2', RUNNER);
    const file = path.join(directory, 'nowhere');
    writeFileSync(file, '#!/no/such/file\n', { mode: 0o755 });
    assert.equal(exec(runner, [file]).stdout, `errno ${ENOENT}\x02`);
  });
});
