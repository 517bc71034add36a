import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { parseElf } from '../../src/elf/parse.js';
import { exec } from '../support/cli.js';
import { elfFiles } from '../support/loader-oracle.js';
import { KINDS, MemorySource } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { versionedElf } from '../support/version-elf.js';

const NEEDED = 1;

test('version needs and definitions are read in every class and byte order', () => {
  for (const kind of KINDS) {
    const wanted = [
      { file: 'liba.so', version: 'A_1', isWeak: false },
      { file: 'liba.so', version: 'A_2', isWeak: true },
      { file: 'libb.so', version: 'B_1', isWeak: false },
    ];
    const defines = ['libself.so', 'S_1', 'S_2'];
    const dynamic = [[NEEDED, 'liba.so']] as const;
    const bytes = versionedElf({ ...kind, dynamic, needs: wanted, defines });
    const { versions } = parseElf(new MemorySource(bytes)).dynamic ?? {};
    assert.deepEqual(versions, {
      needs: wanted,
      defines: new Set(defines),
      hasTable: true,
      hasRelr: false,
      problem: undefined,
    });
  }
});

test('circular version tables and tables beyond the file are reported as a problem, not as an error', () => {
  const bytes = versionedElf({
    dynamic: [[NEEDED, 'liba.so']],
    needs: [{ file: 'liba.so', version: 'A_1', isWeak: false }],
  });
  const record = Buffer.from([1, 0, 1, 0]);
  const at = bytes.indexOf(record);
  assert.ok(at > 0);
  const circular = Buffer.from(bytes);
  // A link of 2^32 - 16 bytes leads beyond the end of the file.
  circular.writeUInt32LE(0xffff_fff0, at + 12);
  const beyond = parseElf(new MemorySource(circular)).dynamic?.versions.problem;
  assert.match(beyond ?? '', /DT_VERNEED reaches beyond the end of the file$/);
  const unknown = Buffer.from(bytes);
  unknown.writeUInt16LE(2, at);
  const version = parseElf(new MemorySource(unknown)).dynamic?.versions.problem;
  assert.match(version ?? '', /DT_VERNEED has a record of version 2$/);
});

describe('compared with readelf', needs('readelf'), () => {
  test('the versions of many files are the same', () => {
    const directories = ['/usr/lib/x86_64-linux-gnu', '/usr/bin', '/usr/s390x-linux-gnu/lib'];
    let count = 0;
    for (const directory of directories) {
      const names = new Set(safeNames(directory));
      const files = [...elfFiles([directory])].filter(
        (file) => path.dirname(file) === directory && names.has(path.basename(file)),
      );
      const step = Math.max(1, Math.floor(files.length / 40));
      for (const file of files.filter((_, index) => index % step === 0)) {
        const bytes = readFileSync(file);
        const { dynamic } = parseElf(new MemorySource(bytes));
        if (dynamic === undefined) continue;
        const { stdout } = exec('readelf', ['-W', '-V', file]);
        const [, required = ''] = stdout.split(/^Version needs section/m);
        const [, defined] = stdout.split(/^Version definition section/m);
        const theirs: string[] = [];
        let from = '';
        for (const line of required.split(/^Version definition/m)[0]?.split('\n') ?? []) {
          from = /File: (\S+)/.exec(line)?.[1] ?? from;
          const [, name, flags] = /Name: (\S+) +Flags: (\S+)/.exec(line) ?? [];
          if (name !== undefined) theirs.push(`${from} ${name} ${flags === 'WEAK'}`);
        }
        assert.deepEqual(
          dynamic.versions.needs.map((one) => `${one.file} ${one.version} ${one.isWeak}`),
          theirs,
          file,
        );
        const definitions = defined?.split(/^Version needs/m)[0];
        assert.deepEqual(
          dynamic.versions.defines && [...dynamic.versions.defines],
          definitions && [
            // A library may define a version with its own name.
            ...new Set([...definitions.matchAll(/Index: \d+ .*Name: (\S+)/g)].map(([, n]) => n)),
          ],
          file,
        );
        count += theirs.length;
      }
    }
    assert.ok(count > 200, `${count} needs`);
  });
});

function safeNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
