import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { packageOwners } from '../../src/evidence/packages/owners.js';
import { withPackageDatabase } from '../../src/export/package-database.js';
import { Sysroot } from '../../src/fs/sysroot.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();

test(
  'an archive contains the package database of its files, with checksums that md5sum confirms',
  needs('dpkg-query'),
  async () => {
    const archive = path.join(directory, 'ls.tar');
    const args = ['export', '/bin/ls', '--to', `tar:${archive}`, '--package-database', 'auto'];
    const result = jailbuild(args);
    assert.equal(result.status, 0, result.stderr);
    const root = path.join(directory, 'root');
    mkdirSync(root);
    succeed('tar', ['-C', root, '--no-same-owner', '-xf', archive]);
    const parts = path.join(root, 'var/lib/dpkg/status.d');
    const names = readdirSync(parts);
    assert.ok(names.includes('coreutils') && names.includes('libc6.md5sums'), names.join());
    for (const name of names.filter((part) => part.endsWith('.md5sums'))) {
      const sums = path.join(parts, name);
      assert.notEqual(readFileSync(sums, 'utf8'), '');
      succeed('sh', ['-c', 'cd "$1" && md5sum --quiet --check "$2"', 'sh', root, sums]);
    }
    const { owners } = await packageOwners(new Sysroot(root), ['/usr/bin/ls', '/bin/ls']);
    const [owner] = owners.values();
    const version = succeed('dpkg-query', ['-W', '-f', '$\u007bVersion}', 'coreutils']);
    assert.deepEqual([owner?.name, owner?.version], ['coreutils', version]);
  },
);

test('an apk database is reduced to the exported files', async () => {
  const root = path.join(directory, 'alpine');
  for (const name of ['bin', 'etc', 'lib/apk/db'])
    mkdirSync(path.join(root, name), { recursive: true });
  writeFileSync(path.join(root, 'bin/one'), 'one');
  writeFileSync(path.join(root, 'bin/two'), 'two');
  writeFileSync(path.join(root, 'etc/alpine-release'), '3.20.0\n');
  const one = 'P:one\nV:1-r0\nA:x86_64\no:source\n';
  const two = 'P:two\nV:2-r0\nA:x86_64\nF:bin\nR:two\nZ:Q1b\n';
  writeFileSync(
    path.join(root, 'lib/apk/db/installed'),
    `${one}F:bin\nM:0:0:755\nR:one\na:0:0:755\nZ:Q1a\nF:etc\nR:gone\nZ:Q1c\n\n${two}\n`,
  );
  const common = { mode: '0755', uid: 0, gid: 0, mtime: '0.000000000', reasons: [] };
  const entries: Entry[] = [
    { type: 'directory', path: '/bin', ...common },
    { type: 'file', path: '/bin/one', size: 3, source: '/bin/one', ...common },
  ];
  const { tree } = await withPackageDatabase({
    tree: { entries, sourceRoot: root },
    warnings: [],
    sysroot: new Sysroot(root),
    originOf: ({ source }) => source,
    environment: {},
  });
  const made = tree.entries.find((entry) => entry.path === '/lib/apk/db/installed');
  assert.ok(made?.type === 'file');
  assert.equal(
    Buffer.from(made.content ?? '', 'base64').toString(),
    `${one}F:bin\nR:one\na:0:0:755\nZ:Q1a\n\n`,
  );
  assert.ok(tree.entries.some((entry) => entry.path === '/etc/alpine-release'));
});
