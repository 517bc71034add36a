import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.js';
import { JailbuildError } from '../../src/errors.js';
import type { FileReport } from '../../src/jail/report.js';
import { writeJail } from '../../src/jail/write/write.js';
import { needsRoot } from '../support/need.js';
import { manifestOf, scratch, snapshot } from './support.js';

/** Creates a small host with every entry type. */
function makeHost(t: TestContext): string {
  const host = scratch(t);
  mkdirSync(path.join(host, 'usr/bin'), { recursive: true });
  mkdirSync(path.join(host, 'usr/lib'), { mode: 0o750 });
  symlinkSync('usr/lib', path.join(host, 'lib'));
  writeFileSync(path.join(host, 'usr/bin/ls'), 'ls '.repeat(5000));
  writeFileSync(path.join(host, 'usr/bin/su'), 'su');
  chownSync(path.join(host, 'usr/bin/su'), 12, 34);
  chmodSync(path.join(host, 'usr/bin/su'), 0o6755);
  writeFileSync(path.join(host, 'usr/lib/libc.so.6'), 'libc');
  symlinkSync('libc.so.6', path.join(host, 'usr/lib/libc.so'));
  for (const name of ['usr/bin/ls', 'usr/bin/su', 'usr/lib/libc.so.6', 'usr/lib', 'usr/bin']) {
    utimesSync(path.join(host, name), 1_600_000_000.25, 1_600_000_000.25);
  }
  return host;
}

function actions(reports: readonly FileReport[]): Record<string, string> {
  return Object.fromEntries(
    reports.filter(({ type }) => type !== 'directory').map(({ path, action }) => [path, action]),
  );
}

async function rejection(promise: Promise<unknown>, code: ErrorCode): Promise<JailbuildError> {
  const error = await promise.then(
    () => assert.fail('should have failed'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof JailbuildError, String(error));
  assert.equal(error.code, code, error.message);
  assert.doesNotMatch(error.message, /\n/);
  return error;
}

test(
  'entries of a new jail have the content, mode, owner and times of their sources, directories included',
  needsRoot(),
  async (t) => {
    const host = makeHost(t);
    const target = path.join(scratch(t), 'a/b/jail');
    const manifest = manifestOf(host);
    const seen: string[] = [];
    const reports = await writeJail(manifest, target, {
      sourceRoot: host,
      onFile: ({ path }) => seen.push(path),
    });
    assert.deepEqual(
      reports.map(({ path, status, action }) => `${path} ${status} ${action}`),
      manifest.entries.map(({ path }) => `${path} ok created`),
    );
    assert.deepEqual(
      seen,
      manifest.entries.map(({ path }) => path),
    );
    assert.equal(readFileSync(path.join(target, 'lib/libc.so'), 'utf8'), 'libc');
    for (const { path: at } of manifest.entries) {
      const [from, to] = [lstatSync(host + at), lstatSync(target + at)];
      assert.equal(to.mode, from.mode, at);
      assert.equal(`${to.uid}:${to.gid}`, `${from.uid}:${from.gid}`, at);
      assert.ok(Math.abs(to.mtimeMs - from.mtimeMs) < 0.001, at);
    }
    assert.equal(lstatSync(target).mode & 0o7777, 0o755);
    assert.deepEqual(readdirSync(path.dirname(target)), ['jail']);
  },
);

test('entries are reported in the order of the plan, as soon as all before them are made', async (t) => {
  const host = scratch(t);
  // Large files first, so that the small ones are ready before them; a hard link is made last.
  for (let index = 0; index < 400; index++) {
    const size = index < 4 ? 1 << 24 : 10;
    writeFileSync(path.join(host, `file${String(index).padStart(3, '0')}`), Buffer.alloc(size, 1));
  }
  rmSync(path.join(host, 'file200'));
  linkSync(path.join(host, 'file000'), path.join(host, 'file200'));
  const manifest = manifestOf(host);
  const planned = manifest.entries.map((entry) => entry.path);
  for (const change of ['a new jail', 'a jail with some of the files']) {
    const target = path.join(scratch(t), 'jail');
    if (change !== 'a new jail') {
      mkdirSync(target);
      for (const name of ['file001', 'file100']) writeFileSync(path.join(target, name), 'other');
      execFileSync('cp', ['-a', path.join(host, 'file002'), target]);
    }
    const seen: string[] = [];
    const made: string[] = [];
    const when: number[] = [];
    await writeJail(manifest, target, {
      sourceRoot: host,
      noSync: true,
      onMade: (entry) => made.push(entry.path),
      onFile: (report) => {
        seen.push(report.path);
        when.push(made.length);
      },
    });
    assert.deepEqual(seen, planned, change);
    assert.deepEqual([...made].sort(), [...planned].sort(), change);
    assert.notDeepEqual(made, planned, change);
    assert.ok(
      (when[0] ?? 0) < planned.length,
      'the first ones are reported before the last is made',
    );
  }
});

test(
  'an existing jail is extended: correct files stay, others are made, foreign files are kept',
  needsRoot(),
  async (t) => {
    const host = makeHost(t);
    const target = scratch(t);
    const manifest = manifestOf(host);
    mkdirSync(path.join(target, 'usr/bin'), { recursive: true, mode: 0o711 });
    writeFileSync(path.join(target, 'usr/bin/ls'), 'another ls');
    writeFileSync(path.join(target, 'usr/bin/mine'), 'mine');
    const first = await writeJail(manifest, target, { sourceRoot: host });
    assert.deepEqual(actions(first), {
      '/lib': 'created',
      '/usr/bin/ls': 'replaced',
      '/usr/bin/su': 'created',
      '/usr/lib/libc.so': 'created',
      '/usr/lib/libc.so.6': 'created',
    });
    assert.equal(readFileSync(path.join(target, 'usr/bin/mine'), 'utf8'), 'mine');
    assert.equal(lstatSync(path.join(target, 'usr/bin')).mode & 0o7777, 0o711);
    assert.equal(lstatSync(path.join(target, 'usr/bin/su')).mode & 0o7777, 0o6755);
    assert.deepEqual(readdirSync(target).sort(), ['lib', 'usr']);

    const before = snapshot(target);
    const second = await writeJail(manifest, target, { sourceRoot: host });
    assert.deepEqual(new Set(second.map(({ action }) => action)), new Set(['unchanged']));
    assert.deepEqual(snapshot(target), before);
  },
);

test('with noClobber, existing files are kept and reported as skipped', needsRoot(), async (t) => {
  const host = makeHost(t);
  const target = scratch(t);
  mkdirSync(path.join(target, 'usr/bin'), { recursive: true });
  writeFileSync(path.join(target, 'usr/bin/ls'), 'mine');
  const reports = await writeJail(manifestOf(host), target, { sourceRoot: host, noClobber: true });
  const ls = reports.find(({ path }) => path === '/usr/bin/ls');
  assert.deepEqual(ls, {
    path: '/usr/bin/ls',
    type: 'file',
    status: 'skipped',
    action: 'kept',
    reason: 'exists',
  });
  assert.equal(readFileSync(path.join(target, 'usr/bin/ls'), 'utf8'), 'mine');
  assert.equal(readFileSync(path.join(target, 'usr/lib/libc.so.6'), 'utf8'), 'libc');
});

test(
  'a symbolic link instead of a file is replaced, and its target is not touched',
  needsRoot(),
  async (t) => {
    const host = makeHost(t);
    const target = scratch(t);
    const outside = path.join(scratch(t), 'secret');
    writeFileSync(outside, 'secret', { mode: 0o600 });
    mkdirSync(path.join(target, 'usr/bin'), { recursive: true });
    symlinkSync(outside, path.join(target, 'usr/bin/ls'));
    await writeJail(manifestOf(host), target, { sourceRoot: host });
    assert.equal(readFileSync(outside, 'utf8'), 'secret');
    assert.equal(lstatSync(outside).mode & 0o7777, 0o600);
    assert.ok(lstatSync(path.join(target, 'usr/bin/ls')).isFile());
  },
);

test('directories and other types do not replace one another', needsRoot(), async (t) => {
  const host = makeHost(t);
  const manifest = manifestOf(host);
  const elsewhere = scratch(t);
  const plant = {
    '/usr': (at: string) => symlinkSync(elsewhere, at),
    '/lib': (at: string) => mkdirSync(at),
  };
  for (const [name, make] of Object.entries(plant)) {
    const target = scratch(t);
    make(target + name);
    const before = snapshot(target);
    const error = await rejection(writeJail(manifest, target, { sourceRoot: host }), 'CONFLICT');
    assert.match(error.message, new RegExp(`${name}: is `));
    assert.deepEqual(snapshot(target), before);
  }
  assert.deepEqual(readdirSync(elsewhere), []);
});

test(
  'a source that changed since the plan stops the build, and the jail is unchanged',
  needsRoot(),
  async (t) => {
    const host = makeHost(t);
    const manifest = manifestOf(host);
    const old = scratch(t);
    writeFileSync(path.join(old, 'mine'), '');
    appendFileSync(path.join(host, 'usr/lib/libc.so.6'), 'more');
    for (const target of [old, path.join(scratch(t), 'x/jail')]) {
      const error = await rejection(
        writeJail(manifest, target, { sourceRoot: host }),
        'SOURCE_CHANGED',
      );
      assert.match(error.message, /^\/usr\/lib\/libc\.so\.6: /);
      assert.equal(existsSync(target), target === old);
    }
    assert.deepEqual(readdirSync(old), ['mine']);
  },
);

test(
  'a full disk stops the build with the name of the file, and the jail is unchanged',
  needsRoot(),
  async (t) => {
    const host = makeHost(t);
    writeFileSync(path.join(host, 'usr/bin/large'), Buffer.alloc(3 << 20, 'x'));
    const manifest = manifestOf(host);
    const disk = scratch(t);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
    try {
      const old = path.join(disk, 'old');
      mkdirSync(path.join(old, 'usr/bin'), { recursive: true });
      writeFileSync(path.join(old, 'usr/bin/ls'), 'old ls');
      linkSync(path.join(old, 'usr/bin/ls'), path.join(old, 'usr/bin/dir'));
      const before = snapshot(disk);
      for (const target of [old, path.join(disk, 'a/new')]) {
        const error = await rejection(
          writeJail(manifest, target, { sourceRoot: host }),
          'WRITE_FAILED',
        );
        assert.equal(error.message, `${target}/usr/bin/large: no space left on device`);
        assert.deepEqual(snapshot(disk), before);
      }
    } finally {
      execFileSync('umount', [disk]);
    }
  },
);

test('a failure during the renames restores replaced files', needsRoot(), async (t) => {
  const host = makeHost(t);
  const manifest = manifestOf(host);
  const target = scratch(t);
  mkdirSync(path.join(target, 'usr/bin'), { recursive: true });
  writeFileSync(path.join(target, 'usr/bin/ls'), 'old ls');
  writeFileSync(path.join(target, 'usr/bin/su'), 'old su');
  const before = snapshot(target);
  // A mount point can be staged for, but not replaced.
  execFileSync('mount', [
    '--bind',
    path.join(host, 'lib/libc.so.6'),
    path.join(target, 'usr/bin/su'),
  ]);
  try {
    const error = await rejection(writeJail(manifest, target, { sourceRoot: host }), 'MOUNTED');
    assert.match(error.message, /usr\/bin\/su is mounted in the jail: unmount it$/);
  } finally {
    execFileSync('umount', [path.join(target, 'usr/bin/su')]);
  }
  assert.deepEqual(snapshot(target), before);
});

test('a signal stops the build, and the jail is unchanged', needsRoot(), async (t) => {
  const host = makeHost(t);
  const manifest = manifestOf(host);
  const old = scratch(t);
  writeFileSync(path.join(old, 'mine'), '');
  for (const target of [old, path.join(scratch(t), 'x/jail')]) {
    const stop = new AbortController();
    const reason = new Error('stopped');
    await assert.rejects(
      writeJail(manifest, target, {
        sourceRoot: host,
        signal: stop.signal,
        onFile: ({ type }) => type === 'file' && stop.abort(reason),
      }),
      reason,
    );
    assert.equal(existsSync(target), target === old);
  }
  assert.deepEqual(readdirSync(old), ['mine']);
});

test('the next build removes the leftovers of an interrupted one', needsRoot(), async (t) => {
  const host = makeHost(t);
  const manifest = manifestOf(host);
  const parent = scratch(t);
  mkdirSync(path.join(parent, '.jail.jailbuild/usr'), { recursive: true });
  writeFileSync(path.join(parent, '.jail.jailbuild/usr/half'), '');
  await writeJail(manifest, path.join(parent, 'jail'), { sourceRoot: host });
  assert.deepEqual(readdirSync(parent), ['jail']);
  assert.deepEqual(readdirSync(path.join(parent, 'jail')).sort(), ['lib', 'usr']);
});
