import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileOffset } from '../../src/elf/dynamic.js';
import { parseElf } from '../../src/elf/parse.js';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { MemorySource } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const PT_LOAD = 1;

test('addresses in the pages around a segment map to file offsets', () => {
  const segment = {
    type: 'load',
    offset: 0x1100,
    vaddr: 0x2100,
    filesz: 0x200,
    memsz: 0x200,
    isExecutable: false,
  };
  assert.equal(fileOffset([segment], 0x2000), 0x1000);
  assert.equal(fileOffset([segment], 0x2fff), 0x1fff);
  assert.equal(fileOffset([segment], 0x1fff), undefined);
  assert.equal(fileOffset([segment], 0x3000), undefined);
  // The memory of a segment beyond its file content is zero.
  assert.equal(fileOffset([{ ...segment, memsz: 0x300 }], 0x2300), undefined);
  // A segment hides the ones before it.
  const later = { ...segment, offset: 0x5200, vaddr: 0x2200, filesz: 0x10, memsz: 0x10 };
  assert.equal(fileOffset([segment, later], 0x2100), 0x5100);
});

test(
  'a program whose dynamic section lies only in the page of a segment runs and is read',
  needs('cc'),
  () => {
    const directory = tempDir();
    const program = path.join(directory, 'program');
    writeFileSync(`${program}.c`, 'int main(void) { return 0; }');
    succeed('cc', ['-o', program, `${program}.c`]);
    const bytes = readFileSync(program);
    const { segments } = parseElf(new MemorySource(bytes)).headers;
    const dynamic = segments.find(({ type }) => type === 'dynamic');
    assert.ok(dynamic !== undefined);
    const phoff = Number(bytes.readBigUInt64LE(32));
    for (let index = 0; index < bytes.readUInt16LE(56); index++) {
      const at = phoff + index * 56;
      const offset = Number(bytes.readBigUInt64LE(at + 8));
      const filesz = Number(bytes.readBigUInt64LE(at + 32));
      const holds = dynamic.offset >= offset && dynamic.offset < offset + filesz;
      if (bytes.readUInt32LE(at) !== PT_LOAD || !holds) continue;
      // The segment now begins after the dynamic section, in the same page.
      const shift = BigInt(dynamic.offset + dynamic.filesz - offset);
      for (const field of [8, 16, 24]) {
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE(at + field) + shift, at + field);
      }
      for (const field of [32, 40]) {
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE(at + field) - shift, at + field);
      }
    }
    writeFileSync(program, bytes);
    chmodSync(program, 0o755);
    assert.equal(exec(program, []).status, 0);
    const { status, stdout, stderr } = jailbuild(['tree', program]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /libc\.so\.6/);
  },
);
