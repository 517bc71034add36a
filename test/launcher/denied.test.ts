import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { CAPABILITIES } from '../../src/launcher/capabilities.js';
import { exec, INVOKE_NS, PROJECT } from '../support/cli.js';
import { needs, needsI386, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { compileFixture, runDirectly } from './support.js';

const EPERM = 1;
const ENOSYS = 38;
const LAUNCHER = path.join(PROJECT, 'src/native/launcher');

interface Denied {
  readonly name: string;
  readonly numbers: readonly number[];
}

const denied: readonly Denied[] = [
  ...readFileSync(path.join(LAUNCHER, 'denied.h'), 'utf8').matchAll(/^DENY\((\w+), (.*)\)$/gm),
].map(([, name = '', numbers = '']) => ({ name, numbers: numbers.split(', ').map(Number) }));

/** Returns numbers of system calls by name, from the kernel headers for an architecture. */
function headerNumbers(compiler: string, header: string): ReadonlyMap<string, number> {
  const { stdout, stderr, status } = exec(compiler, ['-E', '-dM', '-include', header, '-xc', '-'], {
    input: '',
  });
  assert.equal(status, 0, stderr);
  const found = [...stdout.matchAll(/^#define __NR_(\w+) (\d+)$/gm)];
  return new Map(found.map(([, name = '', number]) => [name, Number(number)]));
}

const MACHINES = [
  ['x86-64', 'x86_64-linux-gnu-gcc', 'asm/unistd_64.h'],
  ['i386', 'x86_64-linux-gnu-gcc', 'asm/unistd_32.h'],
  ['arm64', 'aarch64-linux-gnu-gcc', 'asm/unistd.h'],
] as const;

describe('the numbers of denied system calls', () => {
  for (const [index, [machine, compiler, header]] of MACHINES.entries()) {
    test(`match the kernel headers for ${machine}`, needs(compiler), () => {
      const numbers = headerNumbers(compiler, header);
      assert.ok(numbers.size > 250);
      assert.ok(denied.length > 50);
      for (const { name, numbers: ours } of denied)
        assert.equal(ours[index], numbers.get(name) ?? -1, name);

      const source = readFileSync(path.join(LAUNCHER, 'seccomp.c'), 'utf8');
      const table = /COUNT\(denied_\w+\), (\d+), (\d+), (\d+), (\d+), (\d+),/g;
      const looked = [...source.matchAll(table)][index]?.slice(1).map(Number);
      const names = ['clone', 'clone3', 'ioctl', 'socket', 'unshare'];
      assert.deepEqual(
        looked,
        names.map((name) => numbers.get(name)),
      );
    });
  }

  test('--list-denied prints the names', () => {
    const { stdout } = exec(INVOKE_NS, ['--list-denied']);
    assert.deepEqual(
      stdout.trim().split('\n'),
      denied.map(({ name }) => name),
    );
  });
});

describe('the default filter', needsRoot('gcc'), () => {
  const jail = path.join(tempDir(), 'jail');
  const launch = { capabilities: { bounding: CAPABILITIES, ambient: [] } };
  before(() => mkdirSync(jail));

  /** The errno that each of the calls returns. */
  function errors(program: string, numbers: readonly number[]): number[] {
    const { stdout } = runDirectly(jail, launch, [`/${program}`, ...numbers.map(String)]);
    return stdout
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]));
  }
  const numbersOf = (index: number): number[] =>
    denied.flatMap(({ numbers }) => numbers[index] ?? []).filter((number) => number >= 0);

  test('denies each call to root with all capabilities', () => {
    compileFixture('calls', path.join(jail, 'calls'));
    const numbers = numbersOf(process.arch === 'arm64' ? 2 : 0);
    assert.deepEqual(
      errors('calls', numbers),
      numbers.map(() => EPERM),
    );
  });

  test('denies each call to i386 programs', needsI386(), () => {
    compileFixture('calls', path.join(jail, 'calls32'), ['-m32']);
    const numbers = numbersOf(1);
    assert.deepEqual(
      errors('calls32', numbers),
      numbers.map(() => EPERM),
    );
  });

  test('lists no system call newer than itself, and allows others', () => {
    assert.deepEqual(errors('calls', [467, 500, 0x40000000, 435]), [
      ENOSYS,
      ENOSYS,
      ENOSYS,
      ENOSYS,
    ]);
    // getuid, and close of an open descriptor.
    const usual = process.arch === 'arm64' ? [174, 57] : [102, 3];
    assert.deepEqual(errors('calls', usual), [0, 0]);
  });
});
