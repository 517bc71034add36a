import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildId, dlopenNeeds, packageMetadata, readNotes } from '../../src/elf/notes.js';
import { parseElf } from '../../src/elf/parse.js';
import { KINDS, MemorySource, makeElf, type NoteParts } from '../support/make-elf.js';

const NOTES: readonly NoteParts[] = [
  { owner: 'GNU', type: 1, description: Buffer.from([0, 0, 0, 0, 3, 0, 0, 0]) },
  { owner: 'GNU', type: 3, description: Buffer.from('0123456789abcdef', 'hex') },
  { owner: 'FDO', type: 0xcafe1a7e, description: '{"type":"deb","name":"coreutils"}\0' },
  {
    owner: 'FDO',
    type: 0x407c0c0a,
    description: '[{"soname":["liba.so.2","liba.so.1"],"priority":"required","feature":"zip"}]\0',
  },
  { owner: 'FDO', type: 0x407c0c0a, description: '[{"soname":["libb.so"]}]' },
];

function notesOf(notes: readonly NoteParts[], kind = {}) {
  const source = new MemorySource(makeElf({ ...kind, notes }).bytes);
  return { source, notes: readNotes(source, parseElf(source).headers) };
}

describe('reading notes', () => {
  for (const kind of KINDS) {
    test(`finds the build ID and package in a ${kind.class}-bit ${kind.byteOrder}-endian file`, () => {
      const { source, notes } = notesOf(NOTES, kind);
      assert.deepEqual(
        notes.map(({ owner, type }) => ({ owner, type })),
        NOTES.map(({ owner, type }) => ({ owner, type })),
      );
      assert.equal(buildId(notes), '0123456789abcdef');
      assert.deepEqual(packageMetadata(notes, source), { type: 'deb', name: 'coreutils' });
      assert.deepEqual(dlopenNeeds(notes, source), [
        {
          sonames: ['liba.so.2', 'liba.so.1'],
          priority: 'required',
          feature: 'zip',
          description: undefined,
        },
        {
          sonames: ['libb.so'],
          priority: 'recommended',
          feature: undefined,
          description: undefined,
        },
      ]);
    });
  }

  test('ignores notes of other owners', () => {
    const { source, notes } = notesOf([
      { owner: 'Go', type: 3, description: 'x' },
      { owner: 'GNU', type: 0xcafe1a7e, description: '{}' },
      { owner: 'GNU', type: 0x407c0c0a, description: '[{"soname":["a"]}]' },
    ]);
    assert.equal(buildId(notes), undefined);
    assert.equal(packageMetadata(notes, source), undefined);
    assert.deepEqual(dlopenNeeds(notes, source), []);
  });

  test('names the malformed field', () => {
    const { bytes, notesAt } = makeElf({ notes: NOTES });
    bytes.writeUInt32LE(0x1000, notesAt + 4);
    const source = new MemorySource(bytes);
    const { headers } = parseElf(source);
    assert.throws(() => readNotes(source, headers), {
      code: 'MALFORMED_ELF',
      message: /PT_NOTE has a note at 0 that reaches beyond its end$/,
    });
    const package_ = notesOf([{ owner: 'FDO', type: 0xcafe1a7e, description: '[]' }]);
    assert.throws(() => packageMetadata(package_.notes, package_.source), {
      message: /package note is not a JSON object$/,
    });
  });
});
