import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (name: string) => path.join(directory, name);
const app = at('app');

/** Compiles a file; a library if its name ends in .so. */
function compile(name: string, code: string, ...flags: string[]): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(`${name}.c`), code);
  const shared = name.endsWith('.so') || name.endsWith('.node') ? ['-shared', '-fPIC'] : [];
  succeed('cc', [...shared, '-o', at(name), at(`${name}.c`), ...flags]);
  succeed('rm', [at(`${name}.c`)]);
}

function build(name: string, ...args: string[]): string {
  const jail = at(`jail-${name}`);
  const { status, stderr } = jailbuild([jail, 'true', ...args]);
  assert.equal(status, 0, stderr);
  return jail;
}

const chroot = (jail: string, ...command: string[]) =>
  exec('unshare', [
    ...[
      '--mount',
      'sh',
      '-c',
      'mkdir -p "$0/proc"; mount -t proc proc "$0/proc"; chroot "$0" "$@"',
    ],
    ...[jail, ...command],
  ]);

describe('an include with another destination', needsRoot('cc', 'chroot', 'unshare'), () => {
  before(() => {
    // bin/tool finds lib/liba.so beside it, which finds libb.so through an absolute link.
    compile('app/real/libb.so', 'int b(void) { return 7; }', '-Wl,-soname,libb.so');
    compile(
      ...(['app/lib/liba.so', 'int b(void); int a(void) { return b(); }'] as const),
      ...['-Wl,-soname,liba.so', `${app}/real/libb.so`, '-Wl,-rpath,$ORIGIN'],
    );
    symlinkSync(`${app}/real/libb.so`, `${app}/lib/libb.so`);
    compile(
      ...(['app/bin/tool', 'int a(void); int main(void) { return a(); }'] as const),
      ...[`${app}/lib/liba.so`, '-Wl,-rpath,$ORIGIN/../lib', `-Wl,-rpath-link,${app}/real`],
    );
    writeFileSync(`${app}/bin/script`, '#!/bin/sh\nexit 5\n', { mode: 0o755 });
    writeFileSync(`${app}/bin/lost`, '#!/nowhere/interpreter\n', { mode: 0o755 });
    // A module whose name and mode do not show its type.
    writeFileSync(at('m.c'), 'int crypt(void); int m(void) { return crypt(); }');
    succeed('cc', ['-shared', '-fPIC', '-o', `${app}/addon.node`, at('m.c'), '-lcrypt']);
    chmodSync(`${app}/addon.node`, 0o644);
  });

  test('runs there: libraries by $ORIGIN, absolute links, interpreters', () => {
    const jail = build('moved', '--include', `${app}:/srv/moved`);
    assert.equal(chroot(jail, '/srv/moved/bin/tool').status, 7);
    assert.equal(chroot(jail, '/srv/moved/bin/script').status, 5);
    assert.ok(existsSync(`${jail}${app}/real/libb.so`));
  });

  test('can be named as a program by its destination, and exported', () => {
    const tar = at('moved.tar');
    const args = ['/usr/bin/tool', '--include', `${app}/bin/tool:/usr/bin/tool`];
    mkdirSync(`${directory}/usr-lib`);
    const withLibrary = [...args, '--include', `${app}/lib/liba.so:/usr/lib/liba.so`];
    const library = ['--include', `${app}/real/libb.so:/usr/lib/libb.so`];
    const exported = jailbuild(['export', '--to', `tar:${tar}`, ...withLibrary, ...library]);
    assert.equal(exported.status, 0, exported.stderr);
    const jail = at('unpacked');
    mkdirSync(jail);
    succeed('tar', ['-xf', tar, '-C', jail]);
    assert.equal(chroot(jail, '/usr/bin/tool').status, 7);

    const missing = jailbuild(['export', '--to', `tar:${at('no.tar')}`, ...args]);
    assert.notEqual(missing.status, 0);
    assert.match(missing.stderr, /liba\.so: library not found, needed by \/usr\/bin\/tool/);
    assert.ok(!existsSync(at('no.tar')));
  });

  test('reports which script has no interpreter', () => {
    const { status, stderr } = jailbuild([
      at('jail-lost'),
      'true',
      '--include',
      `${app}/bin:/opt/bin`,
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /\/opt\/bin\/lost: its interpreter \/nowhere\/interpreter does not exist/);
  });

  test('is recognised as ELF by its content, whatever its name and mode', () => {
    for (const include of [`${app}/addon.node`, `${app}/addon.node:/usr/lib/addon.node`]) {
      const { stdout } = jailbuild([
        ...['/nonexistent/jail', 'true', '--include', include],
        ...['--dry-run', '--format', 'json'],
      ]);
      assert.match(stdout, /libcrypt\.so\.1/, include);
    }
  });

  test('is placed at its normalized destination', () => {
    const file = at('file');
    writeFileSync(file, 'x');
    for (const [to, expected] of [
      ['/opt/', '/opt/file'],
      ['//opt//here', '/opt/here'],
      ['/opt/x/../there', '/opt/there'],
      ['/../outside', '/outside'],
      ['/', '/file'],
    ] as const) {
      const jail = build(
        `to-${expected.replaceAll('/', '-')}-${to.length}`,
        '--include',
        `${file}:${to}`,
      );
      assert.ok(existsSync(jail + expected), to);
    }
    for (const to of ['/etc', '/usr/lib']) {
      const conflict = jailbuild([at('jail-conflict'), 'ls', '--include', `${file}:${to}`]);
      assert.notEqual(conflict.status, 0);
      assert.match(
        conflict.stderr,
        /include .*\/file:\S+: \S+ is a directory; end the destination with \//,
      );
    }
  });

  test('reports links that dangle at their destination', () => {
    mkdirSync(at('links'));
    writeFileSync(at('beside'), 'x');
    symlinkSync('../beside', at('links/relative'));
    symlinkSync('/nowhere/at-all', at('links/dangling'));
    const { status, stderr } = jailbuild([
      at('jail-links'),
      'true',
      '--include',
      `${at('links')}:/srv/links`,
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /\/srv\/links\/relative: leads to \.\.\/beside, which does not exist/);
    assert.doesNotMatch(stderr, /dangling/);
  });

  test('resolves .. above the root as the root', () => {
    symlinkSync(`${'../'.repeat(40)}usr/bin/env`, at('above'));
    const jail = build('above', at('above'));
    assert.equal(chroot(jail, at('above'), 'true').status, 0);
  });

  test('can be given in a jail file', () => {
    const file = at('jail.yaml');
    writeFileSync(file, `programs: ['true']\nincludes:\n  - from: app\n    to: /srv/app\n`);
    const jail = build('file', '--file', file);
    assert.equal(chroot(jail, '/srv/app/bin/tool').status, 7);
  });
});
