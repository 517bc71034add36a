import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { JailbuildError } from '../../src/errors.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { exec, PROJECT } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/**
 * Creates a root with links that would lead outside if the kernel followed them from the real root.
 */
function hostileRoot(): string {
  const root = path.join(tempDir(), 'root');
  mkdirSync(path.join(root, 'a/b/c'), { recursive: true });
  mkdirSync(path.join(root, 'etc'));
  writeFileSync(path.join(root, 'etc/passwd'), 'inside\n');
  writeFileSync(path.join(root, 'a/file'), 'file\n');
  const link = (at: string, target: string) => symlinkSync(target, path.join(root, at));
  link('a/up', '../../../../../../../../etc/passwd');
  link('a/b/c/up', '../../..');
  link('a/absolute', '/etc/passwd');
  link('a/dots', '/../../etc/passwd');
  link('a/dir', '/a/b/../b/c/');
  link('a/self', 'self');
  link('a/ping', 'pong');
  link('a/pong', '/a/ping');
  link('a/into', 'into/deeper');
  link('a/dangling', '/etc/shadow');
  link('a/through-file', 'file/x');
  link('proc', '/proc');
  link('a/l0', 'file');
  for (let index = 1; index <= 45; index++) link(`a/l${index}`, `l${index - 1}`);
  for (let index = 1; index <= 30; index++)
    link(`a/d${index}`, index === 1 ? 'b' : `d${index - 1}`);
  return root;
}

const LOOKUPS = [
  ...[
    '/etc/passwd',
    '/a/up',
    '/a/absolute',
    '/a/dots',
    '/../../../etc/passwd',
    '/a/dir/up/etc/passwd',
  ],
  ...['/a/dir', '/a/dir/', '/a/dir/../../file', '/a/b/c/up/a/dir/up', '/proc/self/root/etc/passwd'],
  ...['/a/self', '/a/ping', '/a/into', '/a/dangling', '/a/through-file', '/a/file/..', '/a/file/.'],
  ...['/a/l39', '/a/l40', '/a/l41', '/a/l45', '/a/d20/../d20/c', '/a/d21/../d20/c', '/no/../etc'],
  ...['/', '//', '/.', '/..', '//etc//passwd', '/a/./b/./c'],
];

describe('a sysroot with hostile links', () => {
  const root = hostileRoot();
  const sysroot = new Sysroot(root);

  test('is never left', () => {
    for (const lookup of LOOKUPS) {
      const found = sysroot.trace(lookup);
      if (!isTrace(found)) continue;
      const real = path.resolve(sysroot.realPath(found.path));
      assert.ok(real === root || real.startsWith(`${root}/`), `${lookup}: ${real}`);
      if (found.path === '/etc/passwd') assert.equal(sysroot.readText(found), 'inside\n');
    }
  });

  test('resolves paths as the kernel does in a chroot', needsRoot('chroot', 'busybox'), () => {
    const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((file) => {
      const found = new Sysroot().trace(file);
      return isTrace(found);
    });
    assert.ok(busybox, 'busybox-static');
    exec('cp', [busybox, path.join(root, 'busybox')]);
    const inside = new Sysroot(root);
    for (const lookup of LOOKUPS) {
      const { stdout, status } = exec('chroot', [
        root,
        '/busybox',
        'stat',
        '-L',
        '-c',
        '%d:%i',
        lookup,
      ]);
      const found = inside.trace(lookup);
      const what = `${lookup}: ${JSON.stringify(found, (_, value) => String(value))}`;
      assert.equal(isTrace(found) ? found.stat.identity : '', stdout.trim(), what);
      assert.equal(isTrace(found), status === 0, what);
    }
  });

  test('a root that is a link stands for the directory it points to', () => {
    const alias = path.join(tempDir(), 'alias');
    symlinkSync(root, alias);
    assert.equal(new Sysroot(alias).prefix, root);
  });

  test('a root that is not a directory is refused', () => {
    for (const bad of [path.join(root, 'etc/passwd'), path.join(root, 'none')]) {
      assert.throws(
        () => new Sysroot(bad),
        (error) => error instanceof JailbuildError && error.code === 'SYSROOT_NOT_A_DIRECTORY',
      );
    }
  });
});

test('a file that changes its type meanwhile is neither waited for nor followed', () => {
  const root = path.join(tempDir(), 'root');
  const script = `
    import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
    import { execFileSync } from 'node:child_process';
    import { Sysroot } from '${path.join(PROJECT, 'src/fs/sysroot.ts')}';
    const file = '${root}/file';
    writeFileSync(file, 'text');
    const sysroot = new Sysroot('${root}');
    const found = sysroot.trace('/file');
    for (const become of [
      () => execFileSync('mkfifo', [file]),
      () => symlinkSync('/etc/passwd', file),
    ]) {
      rmSync(file);
      become();
      try { console.log(sysroot.readText(found)); } catch (error) { console.log(error.message); }
    }
  `;
  mkdirSync(root);
  // In a separate process, since a hanging open(2) would also block signal handlers.
  const { stdout, stderr } = exec('timeout', [
    ...['-s', 'KILL', '200', process.execPath, '--import', 'tsx', '--input-type=module'],
    ...['-e', script],
  ]);
  assert.equal(stderr, '');
  assert.equal(
    stdout,
    '/file: is no longer a regular file\n/file: too many levels of symbolic links\n',
  );
});

test('the links in a directory are read at once, and only the directory is recorded', () => {
  const root = path.join(tempDir(), 'root');
  mkdirSync(path.join(root, 'links'), { recursive: true });
  symlinkSync('/absent', path.join(root, 'links/one'));
  symlinkSync('one', path.join(root, 'links/two'));
  writeFileSync(path.join(root, 'links/file'), '');
  const sysroot = new Sysroot(root);
  const part = sysroot.part();
  const found = part.trace('/links');
  assert.ok(isTrace(found));
  assert.deepEqual(
    [...part.linksIn(found)],
    [
      ['one', '/absent'],
      ['two', 'one'],
    ],
  );
  for (const view of [part, sysroot]) {
    const { found: seen = new Map(), lists, stamped } = view.observed() ?? {};
    assert.deepEqual([...seen.keys()], ['/', '/links']);
    assert.deepEqual([[...(stamped ?? [])], [...(lists ?? [])]], [['/links'], []]);
  }
});

test('look-ups are recorded where they are made, and those of a part in both', () => {
  const root = path.join(tempDir(), 'root');
  mkdirSync(path.join(root, 'directory'), { recursive: true });
  for (const name of ['own', 'probed', 'part', 'other']) writeFileSync(path.join(root, name), '');
  const sysroot = new Sysroot(root);
  const { probe } = sysroot;
  const [one, other] = [probe.part(), probe.part()];
  sysroot.trace('/own');
  probe.trace('/probed');
  one.probe.trace('/part');
  one.trace('/absent');
  one.names('/directory');
  other.trace('/other');
  const seen = (view: Sysroot) => {
    const { found = new Map(), absent = [], lists = new Map() } = view.observed() ?? {};
    return [...found.keys(), ...absent, ...lists.keys()].filter((at) => at !== '/').sort();
  };
  assert.deepEqual(seen(sysroot), ['/own']);
  assert.deepEqual(seen(one), ['/absent', '/directory', '/part']);
  assert.deepEqual(seen(other), ['/other']);
  assert.deepEqual(seen(probe), ['/absent', '/directory', '/other', '/part', '/probed']);
  // What another view has found need not be inspected again, and counts as seen.
  one.trace('/own');
  assert.deepEqual(seen(one), ['/absent', '/directory', '/own', '/part']);
  // What a part probes is no look-up of the part, but one of the probe.
  const part = sysroot.part();
  part.probe.trace('/part-probed');
  assert.deepEqual([seen(part), seen(part.probe)], [[], ['/part-probed']]);
  assert.ok(seen(probe).includes('/part-probed'));
  assert.ok(!seen(sysroot).includes('/part-probed'));
});
