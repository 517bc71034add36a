import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { DirectoryView } from '../../src/fs/file-view.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { PlanView } from '../../src/plan/plan-view.js';
import { planRequest } from '../../src/plan/resolve-request.js';
import { verifyPlan } from '../../src/plan/verify.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const BASE = { mode: '0644', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] } as const;

function content(file: string, text: string): Entry {
  const bytes = Buffer.from(text);
  return {
    ...BASE,
    type: 'file',
    path: file,
    size: bytes.length,
    content: bytes.toString('base64'),
  };
}

function read(root: Sysroot, file: string): string {
  const found = root.trace(file);
  assert.ok(isTrace(found), file);
  return root.readText(found);
}

describe('a plan as a root', () => {
  test('contains its entries and their parents, and resolves links inside the root', () => {
    const link = { ...BASE, type: 'symlink', path: '/lib', target: 'usr/lib' } as const;
    const root = new Sysroot(new PlanView([link, content('/usr/lib/libx.so', 'x')], '/nowhere'));
    assert.equal(read(root, '/lib/libx.so'), 'x');
    const top = root.trace('/');
    assert.ok(isTrace(top));
    assert.deepEqual(root.list(top), ['lib', 'usr']);
    assert.deepEqual(root.trace('/etc/passwd'), { errno: 'ENOENT', at: '/etc' });
  });

  test('treats hard links as the same file', () => {
    const one = content('/one', 'x');
    const two = { ...content('/two', 'x'), hardlink: '/one' } as Entry;
    const root = new Sysroot(new PlanView([one, two], ''));
    const found = ['/one', '/two'].map((name) => root.trace(name));
    assert.ok(found.every(isTrace));
    assert.equal(new Set(found.map(({ stat }) => stat.identity)).size, 1);
    assert.equal(read(root, '/two'), 'x');
  });

  test('overlays the directory below it', () => {
    const directory = tempDir();
    mkdirSync(`${directory}/etc`);
    writeFileSync(`${directory}/etc/own`, 'own');
    writeFileSync(`${directory}/etc/both`, 'old');
    symlinkSync('own', `${directory}/etc/link`);
    const below = new DirectoryView(directory);
    const root = new Sysroot(new PlanView([content('/etc/both', 'new')], '', below));
    assert.deepEqual(
      ['/etc/own', '/etc/both', '/etc/link'].map((name) => read(root, name)),
      ['own', 'new', 'own'],
    );
    const etc = root.trace('/etc');
    assert.ok(isTrace(etc));
    assert.deepEqual(root.list(etc), ['both', 'link', 'own']);
  });

  test('refuses a source of another size', () => {
    const source = path.join(tempDir(), 'source');
    writeFileSync(source, 'longer');
    const entry: Entry = { ...BASE, type: 'file', path: '/file', size: 3, source };
    const root = new Sysroot(new PlanView([entry], ''));
    const found = root.trace('/file');
    assert.ok(isTrace(found));
    assert.throws(() => root.open(found), { code: 'SOURCE_CHANGED' });
  });
});

describe('verifying a plan without writing it', needs('bash'), () => {
  test('reports a library that the plan lacks', async () => {
    const { manifest, closure } = await planRequest({ programs: ['bash'] }, false);
    const verify = (entries: readonly Entry[]) =>
      verifyPlan(manifest, new Sysroot(new PlanView(entries, closure.sysroot.prefix)), {
        where: 'in the plan',
      });
    const { files } = verify(manifest.entries);
    assert.ok(files >= 4, `${files} files`);
    const without = manifest.entries.filter(({ path: at }) => !/\/libtinfo\.so[^/]*$/.test(at));
    assert.ok(without.length < manifest.entries.length);
    assert.throws(() => verify(without), {
      code: 'VERIFY_FAILED',
      message: /^in the plan: libtinfo\.so\.6, needed by .*bash, is not found$/,
    });
  });
});
