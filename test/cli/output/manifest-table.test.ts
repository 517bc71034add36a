import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileLine } from '../../../src/cli/output/file-line.js';
import { manifestTable } from '../../../src/cli/output/manifest-table.js';
import { type Entry, MANIFEST_SCHEMA } from '../../../src/manifest/manifest.js';

function table(...entries: Entry[]): string[] {
  return manifestTable({
    schema: MANIFEST_SCHEMA,
    request: { programs: [], terminfo: 'none', ldCache: 'none' },
    entries,
    missing: [],
    warnings: [],
  }).split('\n');
}

const common = { uid: 0, gid: 42, mtime: '1.000000000' } as const;

test('modes are printed as by ls -l, with the special bits', () => {
  const cases = {
    '0755': 'rwxr-xr-x',
    '4755': 'rwsr-xr-x',
    '2644': 'rw-r-Sr--',
    '1777': 'rwxrwxrwt',
  };
  for (const [mode, expected] of Object.entries(cases)) {
    const [, row] = table({
      ...common,
      path: '/x',
      source: '/x',
      type: 'directory',
      mode,
      reasons: [{ kind: 'parent' }],
    });
    assert.ok(row?.startsWith(`d${expected} `), row);
  }
});

test('a row has the owner, size, start of the digest, source and reasons', () => {
  const [, row] = table({
    ...common,
    path: '/usr/bin/x',
    source: '/opt/x',
    type: 'file',
    mode: '0755',
    size: 1234,
    digest: `sha256:${'ab'.repeat(32)}`,
    reasons: [
      { kind: 'requested', as: 'x' },
      { kind: 'needed', by: '/y', name: 'x', rule: 'runpath' },
    ],
  });
  assert.match(
    row ?? '',
    /0:42 +1234 +abababababab +\/usr\/bin\/x \(from \/opt\/x\) +requested as x and 1 more reason$/,
  );
});

test('no file name can control the terminal', () => {
  const [, row] = table({
    ...common,
    path: '/\u001b[2J',
    source: '/\u001b[2J',
    type: 'symlink',
    target: 'a\nb',
    mode: '0777',
    reasons: [{ kind: 'requested', as: 'x' }],
  });
  assert.ok(row?.includes('/\\x1b[2J -> a\\x0ab'), row);
  assert.ok(
    fileLine(
      { path: '/\u001b[2J', type: 'file', status: 'failed', action: 'none', reason: 'bad' },
      false,
    ).endsWith('\\x1b[2J : [FAILED] bad'),
  );
});
