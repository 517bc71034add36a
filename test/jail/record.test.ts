import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { JailbuildError } from '../../src/errors.js';
import {
  type JailRecord,
  parseRecord,
  readRecord,
  recordText as recordParts,
} from '../../src/jail/record/record.js';
import { resolve } from '../../src/resolve/resolve.js';
import { plan } from '../../src/resolve/to-manifest.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const recordText = (record: JailRecord): string =>
  Buffer.concat([...recordParts(record)]).toString();

const RECORD: JailRecord = {
  schema: 'jailbuild.record/1',
  version: '0.1.0',
  request: { programs: ['ls'], terminfo: ['dumb'], path: ['/usr/bin'], cwd: '/root' },
  options: { allowMissing: true },
  builder: { uid: 1000, gid: 1000 },
  found: ['/usr'],
  kept: ['/etc/passwd'],
  former: [
    {
      path: '/usr/lib/old.so',
      type: 'symlink',
      mode: '0777',
      uid: 0,
      gid: 0,
      mtime: '1.000000000',
      target: 'old.so.1',
      reasons: [{ kind: 'parent' }],
    },
  ],
  run: { hostname: 'jail' },
  manifest: plan(resolve({ programs: ['/bin/ls'], terminfo: ['dumb'] })),
};

/** Creates a jail with the record, as jailbuild leaves it. */
function jailWith(text: string): { root: string; state: string; record: string } {
  const root = path.join(tempDir(), 'jail');
  const state = path.join(root, '.jailbuild');
  const record = path.join(state, 'record.json');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(record, text, { mode: 0o600 });
  return { root, state, record };
}

function assertRefused(act: () => unknown, message: RegExp): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof JailbuildError, String(error));
    assert.equal(error.code, 'RECORD_REFUSED');
    assert.match(error.message, message);
    return true;
  });
}

test('a record is read as it was written', () => {
  const { root } = jailWith(recordText(RECORD));
  assert.deepEqual(readRecord(root), RECORD);
});

test('equal records have equal bytes', () => {
  const { run, ...others } = RECORD;
  const text = recordText(RECORD);
  assert.equal(recordText({ ...others, ...(run === undefined ? {} : { run }) }), text);
  assert.equal(recordText(parseRecord(text, 'record')), text);
});

test('a jail without a record is reported as such', () => {
  const root = tempDir();
  assert.equal(readRecord(root), undefined);
  mkdirSync(path.join(root, '.jailbuild'), { mode: 0o700 });
  assert.equal(readRecord(root), undefined);
});

test('a missing jail is reported', () => {
  assert.throws(() => readRecord(path.join(tempDir(), 'none')), {
    code: 'TARGET_NOT_A_DIRECTORY',
  });
});

describe('an untrusted record is refused', () => {
  const text = recordText(RECORD);

  test('a symbolic link instead of the record', () => {
    const { root, record } = jailWith(text);
    renameSync(record, `${root}/elsewhere`);
    symlinkSync('../elsewhere', record);
    assertRefused(() => readRecord(root), /record\.json: is a symbolic link/);
  });

  test('a symbolic link instead of its directory', () => {
    const { root, state } = jailWith(text);
    renameSync(state, `${root}/elsewhere`);
    symlinkSync('elsewhere', state);
    assertRefused(() => readRecord(root), /\.jailbuild: is a symbolic link/);
  });

  test('a directory instead of the record', () => {
    const { root, record } = jailWith(text);
    rmSync(record);
    mkdirSync(record);
    assertRefused(() => readRecord(root), /is not a regular file/);
  });

  test('a fifo instead of the record, without waiting for a writer', () => {
    const { root, record } = jailWith(text);
    rmSync(record);
    execFileSync('mkfifo', ['-m', '600', record]);
    assertRefused(() => readRecord(root), /is not a regular file/);
  });

  test('a record that others may write', () => {
    const { root, record } = jailWith(text);
    chmodSync(record, 0o620);
    assertRefused(
      () => readRecord(root),
      /record\.json: is writable by users other than its owner/,
    );
  });

  test('a record in a directory that others may write', () => {
    const { root, state } = jailWith(text);
    chmodSync(state, 0o777);
    assertRefused(() => readRecord(root), /\.jailbuild: is writable by users other than its owner/);
  });

  test('a record of another user', needsRoot(), () => {
    const { root, record } = jailWith(text);
    chownSync(record, 65534, 65534);
    assertRefused(() => readRecord(root), /record\.json: belongs to uid 65534/);
  });

  test("a record in another user's directory, with a hard link elsewhere", needsRoot(), () => {
    const { root, state, record } = jailWith(text);
    linkSync(record, `${root}/again`);
    chownSync(state, 65534, 65534);
    assertRefused(() => readRecord(root), /\.jailbuild: belongs to uid 65534/);
  });

  test('an endless record', () => {
    const { root, record } = jailWith(text);
    truncateSync(record, 1 << 30);
    assertRefused(() => readRecord(root), /is larger than/);
  });

  const bad: readonly (readonly [string, object, RegExp])[] = [
    [
      'another version',
      { schema: 'jailbuild.record/9' },
      /schema: is "jailbuild\.record\/9", expected/,
    ],
    ['no request', { request: undefined }, /request: is missing/],
    ['invalid programs', { request: { programs: 'ls' } }, /request\.programs: is not a list/],
    ['a path outside of the jail', { found: ['/../etc'] }, /found\[0\]: /],
    [
      'an obsolete entry outside of the jail',
      { former: [{ ...RECORD.former[0], path: '/usr/../../x' }] },
      /former\[0\]\.path: /,
    ],
    ['an invalid manifest', { manifest: {} }, /manifest: schema: is missing/],
  ];
  for (const [name, change, message] of bad) {
    test(name, () => {
      const { root } = jailWith(JSON.stringify({ ...RECORD, ...change }));
      assertRefused(() => readRecord(root), message);
    });
  }

  test('a truncated record', () => {
    const { root } = jailWith(text.slice(0, 100));
    assertRefused(() => readRecord(root), /record\.json: is not JSON/);
  });
});
