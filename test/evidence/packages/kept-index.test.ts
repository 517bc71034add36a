import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { keepIndex, keptIndex } from '../../../src/evidence/packages/kept-index.js';
import { PathIndex } from '../../../src/evidence/packages/path-index.js';
import { dpkgRelations } from '../../../src/evidence/packages/relations.js';
import { StatusTable } from '../../../src/evidence/packages/status-table.js';

const STATUS = Buffer.from(`Package: first
Essential: yes
Maintainer: Käthe Größe <k@example.org>
Status: install ok installed
Provides: awk, shell (= 1)

Package: twice
Architecture: amd64
Provides: awk

Package: twice
Architecture: i386
Description: names Package: none
 Package: neither
`);
const LISTS: ReadonlyMap<string, string> = new Map([
  ['first.list', '/.\n/usr\n/usr/bin/first\n'],
  ['twice:amd64.list', '/usr\n/usr/lib/é'],
  ['twice:i386.list', ''],
]);

const cache = mkdtempSync(path.join(tmpdir(), 'jailbuild-'));
const given = process.env.XDG_CACHE_HOME;
before(() => {
  process.env.XDG_CACHE_HOME = cache;
});
after(() => {
  if (given === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = given;
  rmSync(cache, { recursive: true });
});

const table = () => StatusTable.of(STATUS, (field) => dpkgRelations(field).flat());
const index = () => PathIndex.of([...LISTS.keys()], (list) => Buffer.from(LISTS.get(list) ?? ''));

test('a table of the status file locates the bytes of each paragraph', () => {
  const found = table();
  assert.deepEqual(found.names(), ['first', 'twice', 'twice']);
  assert.deepEqual(found.essentials(), ['first']);
  assert.deepEqual(found.providersOf('awk'), ['first', 'twice']);
  assert.deepEqual(found.providersOf('shell'), ['first']);
  const texts = found
    .placesOf('twice')
    .map(({ start, end }) => STATUS.toString('utf8', start, end));
  assert.deepEqual(
    texts.map((text) => /^Package: twice\nArchitecture: (.*)$/m.exec(text)?.[1]),
    ['amd64', 'i386'],
  );
  assert.match(texts[1] ?? '', /neither\n?$/);
  assert.deepEqual(found.placesOf('none'), []);
  assert.deepEqual(found.placesOf('neither'), []);
  assert.deepEqual(found.placesOf('twi'), []);
});

test('an index of paths finds the lists that contain a whole line', () => {
  const found = index();
  assert.deepEqual(found.listsOf('/usr'), ['first.list', 'twice:amd64.list']);
  assert.deepEqual(found.listsOf('/usr/bin/first'), ['first.list']);
  assert.deepEqual(found.listsOf('/usr/lib/é'), ['twice:amd64.list']);
  for (const absent of ['/usr/bin', '/usr/bin/firs', 'usr', '']) {
    assert.deepEqual(found.listsOf(absent), []);
  }
});

test('an index finds each path after growing beyond its initial size', () => {
  const count = 150_000;
  const text = Buffer.from(Array.from({ length: count }, (_, at) => `/p/${at}`).join('\n'));
  const found = PathIndex.of(['a', 'b'], (list) => (list === 'b' ? text : Buffer.alloc(0)));
  for (let at = 0; at < count; at += 997) assert.deepEqual(found.listsOf(`/p/${at}`), ['b']);
  assert.deepEqual(found.listsOf(`/p/${count}`), []);
});

test('a stored index finds each path, and uses only undamaged parts', () => {
  const count = 20_000;
  const many = Array.from({ length: count }, (_, at) => `/p/${at}`);
  const shared = Array.from({ length: 1000 }, (_, at) => `list ${at}`);
  const paths = PathIndex.of(['all', ...shared], (list) =>
    Buffer.from(list === 'all' ? many.join('\n') : '/shared'),
  );
  const open = () => {
    const kept = keptIndex('large');
    assert.ok(kept !== undefined);
    return kept.paths;
  };
  keepIndex('large', { status: table(), paths });
  const kept = open();
  for (const path of many) assert.deepEqual(kept.listsOf(path), ['all']);
  // The entries of a path in more lists than a block has entries.
  assert.deepEqual(kept.listsOf('/shared'), shared);
  assert.deepEqual(kept.listsOf('/p'), []);

  const file = path.join(cache, 'jailbuild', 'packages');
  const bytes = readFileSync(file);
  const last = bytes.length - 1;
  bytes.writeUInt8(bytes.readUInt8(last) ^ 1, last);
  writeFileSync(file, bytes, { mode: 0o600 });
  const damaged = open();
  const found = many.map((path) => damaged.listsOf(path));
  const missed = found.filter((lists) => lists === undefined);
  assert.ok(missed.length > 0 && missed.length < 1000, `${missed.length} in the last block`);
  for (const lists of found) assert.ok(lists === undefined || lists[0] === 'all');
});

test('a stored index is read only for its own state, if complete and not writable by others', () => {
  keepIndex('state 1', { status: table(), paths: index() });
  const kept = keptIndex('state 1');
  assert.deepEqual(kept?.status.text, table().text);
  assert.deepEqual(kept?.paths.lists, index().lists);
  for (const path of ['/usr', '/usr/bin/first', '/usr/lib/é', '/usr/bin']) {
    assert.deepEqual(kept?.paths.listsOf(path), index().listsOf(path));
  }
  assert.equal(keptIndex('state 2'), undefined);

  const file = path.join(cache, 'jailbuild', 'packages');
  chmodSync(file, 0o666);
  assert.equal(keptIndex('state 1'), undefined);
  chmodSync(file, 0o600);
  truncateSync(file, readFileSync(file).length - 1);
  assert.equal(keptIndex('state 1'), undefined);
});
