import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson, canonicalValue } from '../../src/manifest/canonical-json.js';
import { type Entry, MANIFEST_SCHEMA, type Manifest } from '../../src/manifest/manifest.js';

const entry: Entry = {
  path: '/bin',
  type: 'symlink',
  mode: '0777',
  uid: 0,
  gid: 0,
  mtime: '1.000000000',
  source: '/bin',
  target: 'usr/bin',
  reasons: [{ kind: 'merged-usr' }],
};

function manifest(entries: readonly Entry[]): Manifest {
  return {
    schema: MANIFEST_SCHEMA,
    request: { programs: ['ls'], terminfo: 'none', ldCache: 'none' },
    entries,
    missing: [],
    warnings: [],
  };
}

test('canonical JSON parses to the same value', () => {
  assert.deepEqual(JSON.parse(canonicalJson(manifest([entry]))), manifest([entry]));
});

test('a long list is the same as its entries one by one, whatever they share', () => {
  const shared = [{ kind: 'included', as: '/srv' }] as const;
  const entries = Array.from({ length: 2500 }, (_, index): Entry => {
    const reasons = index % 7 === 0 ? [{ kind: 'included', as: `/${index}` } as const] : shared;
    return {
      ...entry,
      path: `/e${index}`,
      uid: index,
      reasons,
      ...(index % 5 ? {} : { xattrs: {} }),
    };
  });
  const whole = { ...manifest(entries), environment: { A: 'b' }, hints: ['h'], advice: [] };
  const text = canonicalJson(whole);
  assert.deepEqual(JSON.parse(text), whole);
  assert.deepEqual(
    text.split('\n').filter((line) => line.includes('"path"')),
    entries.map((one, at) => `    ${canonicalValue(one)}${at < 2499 ? ',' : ''}`),
  );
});

test('canonical JSON does not depend on the order in which keys were set', () => {
  const reversed = Object.fromEntries(Object.entries(entry).reverse()) as unknown as Entry;
  assert.equal(canonicalJson(manifest([reversed])), canonicalJson(manifest([entry])));
});

test('canonical JSON has one line per entry', () => {
  const text = canonicalJson(manifest([entry, { ...entry, path: '/lib', target: 'usr/lib' }]));
  assert.equal(text.split('\n').filter((line) => line.includes('"path"')).length, 2);
  assert.ok(text.endsWith('}\n'));
});

test('undefined members are omitted, and odd names are kept', () => {
  const odd = { ...entry, path: '/a\n"b\u2028', digest: undefined } as unknown as Entry;
  const text = canonicalJson(manifest([odd]));
  assert.equal(JSON.parse(text).entries[0].path, '/a\n"b\u2028');
  assert.ok(!text.includes('digest'));
});

test('strings are escaped as JSON.stringify does', () => {
  const texts = [
    '',
    'plain ~!#[]',
    'a"b',
    'a\\b',
    '\u0000\u001f\u007f',
    'ä\u2028€',
    '\udc80',
    '👍',
  ];
  for (const text of texts) {
    assert.equal(canonicalValue({ [text]: text }), JSON.stringify({ [text]: text }));
  }
});

test('objects whose joined keys are equal are told apart', () => {
  for (const value of [{}, { '': 1 }, { 'a\0b': 1 }, { a: 1, b: 2 }, { 'a\0b': 3 }, {}]) {
    assert.equal(canonicalValue(value), JSON.stringify(value));
  }
});

test('the keys of every kind of object are sorted, including keys added later', () => {
  const values = [
    { b: 1, path: 'p', a: [true, null] },
    { a: 1, b: 2 },
    { b: 2, a: { z: 1, type: 2 } },
  ];
  assert.equal(
    canonicalValue([...values, ...values]),
    `[${Array(2)
      .fill('{"path":"p","a":[true,null],"b":1},{"a":1,"b":2},{"a":{"type":2,"z":1},"b":2}')
      .join(',')}]`,
  );
});
