import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { JailbuildError } from '../../src/errors.js';
import { addDigests } from '../../src/manifest/digest.js';
import { describeMissing, refuseMissing } from '../../src/manifest/missing.js';
import { resolve } from '../../src/resolve/resolve.js';
import { plan } from '../../src/resolve/to-manifest.js';
import { tempDir } from '../support/temp-dir.js';

const REQUEST = { programs: ['/bin/ls'], terminfo: ['dumb'] } as const;

test('every parent comes before its children, and each path occurs once', () => {
  const seen = new Set(['/']);
  for (const { path: name } of plan(resolve(REQUEST)).entries) {
    assert.ok(seen.has(path.dirname(name)), `${name} comes before its parent`);
    assert.ok(!seen.has(name), `${name} occurs twice`);
    seen.add(name);
  }
  assert.ok(seen.size > 5);
});

test('every reason refers to an entry of the plan', () => {
  const { entries } = plan(resolve(REQUEST));
  const paths = new Set(entries.map((entry) => entry.path));
  for (const { path: name, reasons } of entries) {
    assert.ok(reasons.length > 0, name);
    for (const reason of reasons) {
      const other = 'by' in reason ? reason.by : 'of' in reason ? reason.of : undefined;
      if (other !== undefined) assert.ok(paths.has(other), `${name}: ${other} is not an entry`);
    }
  }
});

test('digests are the SHA-256 of the sources', async () => {
  const { entries } = await addDigests(plan(resolve(REQUEST)), '');
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const { source, content = '' } = entry;
    const expected = createHash('sha256')
      .update(source === undefined ? Buffer.from(content, 'base64') : readFileSync(source))
      .digest('hex');
    assert.equal(entry.digest, `sha256:${expected}`, entry.path);
  }
});

test('digests are computed from files inside the sysroot', async () => {
  const root = tempDir();
  mkdirSync(path.join(root, 'etc/terminfo/d'), { recursive: true });
  mkdirSync(path.join(root, 'lib'));
  writeFileSync(path.join(root, 'etc/terminfo/d/dumb'), 'inside');
  symlinkSync('/etc/terminfo', path.join(root, 'lib/terminfo'));
  const manifest = plan(resolve({ programs: [], terminfo: ['dumb'], sysroot: root }));
  const { entries } = await addDigests(manifest, root);
  const file = entries.find((entry) => entry.type === 'file');
  assert.ok(file?.type === 'file');
  assert.equal(file.path, '/etc/terminfo/d/dumb');
  assert.equal(file.digest, `sha256:${createHash('sha256').update('inside').digest('hex')}`);
});

test('a file that disappears before it is read causes an error with its path', async () => {
  const root = tempDir();
  mkdirSync(path.join(root, 'etc/terminfo/d'), { recursive: true });
  writeFileSync(path.join(root, 'etc/terminfo/d/dumb'), 'x');
  const manifest = plan(resolve({ programs: [], terminfo: ['dumb'], sysroot: root }));
  rmSync(path.join(root, 'etc'), { recursive: true });
  await assert.rejects(addDigests(manifest, root), (error) => {
    assert.ok(error instanceof JailbuildError);
    assert.equal(error.code, 'NOT_READABLE');
    assert.equal(error.path, '/etc/terminfo/d/dumb');
    return true;
  });
});

test('the first missing library causes the error, and the others are counted', () => {
  const library = {
    name: 'liba.so',
    neededBy: '/bin/x',
    searched: [{ rule: 'default', path: '/lib' }] as const,
  };
  assert.equal(
    describeMissing(library),
    'liba.so: library not found, needed by /bin/x; searched /lib [default]',
  );
  refuseMissing([]);
  assert.throws(() => refuseMissing([library, library]), {
    code: 'LIBRARY_NOT_FOUND',
    path: '/bin/x',
    message: /and 1 more/,
  });
});
