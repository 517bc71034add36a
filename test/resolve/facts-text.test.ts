import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importedSymbols } from '../../src/elf/imports.js';
import { parseElf } from '../../src/elf/parse.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { fileOfText, textOfFile } from '../../src/resolve/process/facts-text.js';

const root = new Sysroot('/');

function readFile(name: string) {
  const found = root.trace(name);
  assert.ok(isTrace(found), name);
  const source = root.open(found);
  const elf = parseElf(source);
  const imports = importedSymbols(source, elf.headers);
  const dlopens = [
    { sonames: ['a.so'], priority: 'suggested', feature: 'f', description: 'd\udc80"' } as const,
  ];
  source.close();
  return { elf, facts: { imports, dlopens } };
}

test('the facts of an ELF file are the same after being stored as text', () => {
  for (const name of ['/bin/ls', '/bin/bash', process.execPath]) {
    const file = readFile(name);
    assert.ok((file.elf.dynamic?.versions.needs.length ?? 0) > 0, name);
    assert.deepEqual(fileOfText(textOfFile(file) ?? ''), file);
  }
  const loader = readFile('/bin/ls').elf.interpreter ?? '';
  const file = readFile(loader);
  assert.ok(file.elf.dynamic?.versions.defines?.has('GLIBC_PRIVATE'), loader);
  assert.deepEqual(fileOfText(textOfFile(file) ?? ''), file);
});

test('a file with malformed version tables is not stored: the message names its path', () => {
  const { elf, facts } = readFile('/bin/ls');
  const { dynamic } = elf;
  assert.ok(dynamic !== undefined);
  const versions = { ...dynamic.versions, problem: '/bin/ls: malformed' };
  assert.equal(
    textOfFile({ elf: { ...elf, dynamic: { ...dynamic, versions } }, facts }),
    undefined,
  );
});
