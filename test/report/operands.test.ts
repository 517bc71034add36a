import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const env = { ...process.env, XDG_CACHE_HOME: path.join(directory, 'cache') };

function run(...args: readonly string[]) {
  return jailbuild(args, { env, cwd: directory });
}

function diff(one: string, other: string, ...options: readonly string[]) {
  const { status, stdout, stderr } = run('diff', one, other, '--json', ...options);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('operands of report and diff', () => {
  /** The same content in each form. */
  const forms = ['oci:layout:a', 'oci-archive:a.tar', 'docker-archive:b.tar', 'jail', 'a.json'];

  before(() => {
    const job = ['bash', 'cat'];
    for (const to of ['oci:layout:a', 'oci-archive:a.tar', 'docker-archive:b.tar']) {
      assert.equal(run('export', ...job, '--to', to, '--quiet').status, 0);
    }
    const made = run('build', path.join(directory, 'jail'), ...job, '--manifest', 'a.json', '-q');
    assert.equal(made.status, 0, made.stderr);
    assert.equal(run('export', ...job, 'ls', '--to', 'oci:layout:b', '--quiet').status, 0);
    writeFileSync(path.join(directory, 'jail.yaml'), 'programs: [bash, cat]\n');
  });

  for (const one of forms) {
    test(`${one} equals every other form of the same content`, () => {
      for (const other of forms) assert.deepEqual(diff(one, other).changes, [], other);
      assert.deepEqual(diff(one, 'jail.yaml').changes, []);
    });

    test(`${one} differs from an image with an additional program`, () => {
      const { changes, sizeBefore, sizeAfter, notCompared } = diff(one, 'oci:layout:b');
      const added = changes.filter(({ kind }: { kind: string }) => kind === 'added');
      assert.ok(added.some(({ path: at }: { path: string }) => at.endsWith('bin/ls')));
      assert.ok(sizeAfter > sizeBefore);
      assert.deepEqual(notCompared, []);
    });

    test(`a report of ${one} is written`, () => {
      const { status, stderr } = run('report', one, '-o', 'report.html', '--quiet');
      assert.equal(status, 0, stderr);
      const page = readFileSync(path.join(directory, 'report.html'), 'utf8');
      assert.match(page, /\/usr\/bin\/bash|\/bin\/bash/);
    });
  }

  test('content of equal size and time is compared byte by byte', () => {
    const roots = ['one', 'two'].map((name) => {
      const root = path.join(directory, name);
      mkdirSync(root);
      writeFileSync(path.join(root, 'file'), name);
      utimesSync(path.join(root, 'file'), 1, 1);
      return root;
    });
    const { changes } = diff(roots[0] ?? '', roots[1] ?? '');
    assert.deepEqual(changes, [
      { kind: 'changed', path: '/file', before: 3, after: 3, details: ['content'] },
    ]);
  });

  test('a manifest without its sources can be compared and shown', () => {
    const text = readFileSync(path.join(directory, 'a.json'), 'utf8');
    writeFileSync(
      path.join(directory, 'gone.json'),
      text.replaceAll('"/usr/bin/cat"', '"/usr/bin/gone"'),
    );
    const { changes } = diff('a.json', 'gone.json');
    assert.deepEqual(
      changes.map((change: { kind: string; path: string }) => `${change.kind} ${change.path}`),
      ['added /usr/bin/gone', 'removed /usr/bin/cat'].sort(
        (a, b) => a.split(' ')[1]?.localeCompare(b.split(' ')[1] ?? '') ?? 0,
      ),
    );
    assert.equal(run('report', 'gone.json', '-o', 'gone.html').status, 0);
  });

  test('--exit-code returns 3 for differences and 0 otherwise', () => {
    assert.equal(run('diff', 'jail', 'oci:layout:a', '--exit-code').status, 0);
    const { status, stdout } = run('diff', 'jail', 'oci:layout:b', '--exit-code', '--quiet');
    assert.deepEqual([status, stdout], [3, '']);
  });

  test('wrong operands are refused with what was tried', () => {
    const cases: readonly (readonly [string, RegExp, number?])[] = [
      [
        'nothing-here',
        /nothing-here: is no directory, no file and no program on PATH: name one, or an image as oci:DIR/,
      ],
      [
        'a.tar',
        /a\.tar: is no directory, no ELF file or script, .* or an image as oci:DIR, oci-archive:FILE/,
      ],
      ['layout', /layout: is an OCI image layout: write oci:layout/, 2],
      ['oci:nowhere', /nowhere: is not an OCI image layout/],
      ['oci:layout:c', /layout: has no image c; it has a, b/],
      ['oci:', /give oci:DIR/, 2],
      ['gone.yaml', /gone\.yaml: no such file/],
    ];
    for (const [word, message, expected = 1] of cases) {
      for (const args of [
        ['report', word],
        ['diff', 'jail', word],
        ['diff', word, 'jail'],
      ]) {
        const { status, stderr } = run(...args);
        assert.match(stderr, message);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
        assert.equal(status, expected, stderr);
      }
    }
    const several = run('report', 'oci:layout:a', 'ls');
    assert.match(several.stderr, /oci:layout:a: an image cannot be combined with other operands/);
    const rooted = run('diff', 'jail', 'oci:layout:a', '--sysroot', '/');
    assert.match(rooted.stderr, /--sysroot applies to programs and manifests/);
    assert.match(
      run('report', 'oci:layout:a', '-p', 'git').stderr,
      /--profile applies to programs/,
    );
  });
});

test('an image in a registry is an operand', needs('docker-registry'), async () => {
  const registry = await startRegistry(path.join(directory, 'registry'));
  try {
    const image = `docker://${registry.address}/some/tools:v1`;
    const pushed = run('export', 'ls', '--to', image, '--quiet', '--tls-verify=false');
    assert.equal(pushed.status, 0, pushed.stderr);
    assert.deepEqual(diff(image, 'ls', '--tls-verify=false').changes, []);
    assert.equal(run('report', image, '--tls-verify=false', '-o', 'image.html').status, 0);
  } finally {
    await registry.stop();
  }
});
