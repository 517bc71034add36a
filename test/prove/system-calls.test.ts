import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import names from '../../src/evidence/trace/system-calls.json' with { type: 'json' };
import { PROJECT } from '../support/cli.js';

const MACHINES = ['x86-64', 'i386', 'aarch64'] as const;

test('the calls that the observer stops have the right numbers on every architecture', () => {
  const source = readFileSync(path.join(PROJECT, 'src/native/observer/calls.h'), 'utf8');
  const rows = [...source.matchAll(/^CALL\((\w+), (-?\d+), (-?\d+), (-?\d+),/gm)];
  assert.ok(rows.length > 100, `${rows.length} calls`);
  for (const [, name = '', ...numbers] of rows) {
    MACHINES.forEach((machine, index) => {
      const number = Number(numbers[index]);
      if (number >= 0) assert.equal(names[machine][number], name, `${name} of ${machine}`);
    });
  }
});
