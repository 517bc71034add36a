import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { globMatcher, readLdSoConf } from '../../src/loader/ld-so-conf.js';
import { resolve } from '../../src/resolve/resolve.js';
import { exec } from '../support/cli.js';
import { makeElf } from '../support/make-elf.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a root with a program that needs libgone.so, linked with additional flags. */
function rootWithProgram(...flags: readonly string[]): string {
  const root = tempDir();
  writeFileSync(path.join(root, 'x.c'), 'int main(void) { return 0; }\n');
  const cc = (...args: string[]) => {
    const { status, stderr } = exec('cc', ['-nostdlib', ...args], { cwd: root });
    assert.equal(status, 0, stderr);
  };
  cc('-shared', '-fPIC', '-o', 'libgone.so', 'x.c');
  cc('-Wl,-e,main', '-o', 'program', 'x.c', '-Wl,--no-as-needed', '-L.', '-l:libgone.so', ...flags);
  const loader = '/lib64/ld-linux-x86-64.so.2';
  mkdirSync(path.join(root, 'lib64'));
  mkdirSync(path.join(root, 'lib'));
  copyFileSync(loader, root + loader);
  return root;
}

const request = (sysroot: string) =>
  ({ programs: ['/program'], sysroot, terminfo: 'none' }) as const;

describe('endless symbolic links', needs('cc'), () => {
  test('count as a missing library', () => {
    const root = rootWithProgram();
    symlinkSync('libgone.so', path.join(root, 'lib/libgone.so'));
    const { missing } = resolve(request(root));
    assert.deepEqual(
      missing.map(({ name }) => name),
      ['libgone.so'],
    );
  });

  test('count as a missing interpreter', () => {
    const root = rootWithProgram('-Wl,-dynamic-linker,/lib/loop');
    symlinkSync('/lib/other', path.join(root, 'lib/loop'));
    symlinkSync('loop', path.join(root, 'lib/other'));
    assert.throws(() => resolve(request(root)), { code: 'INTERPRETER_NOT_FOUND' });
  });

  test('are followed no further than Linux does, even if names are very long', () => {
    const root = tempDir();
    mkdirSync(path.join(root, 'a'));
    for (let n = 0; n < 40; n++) {
      symlinkSync(`${'a/../'.repeat(800)}l${n + 1}`, path.join(root, `l${n}`));
    }
    writeFileSync(path.join(root, 'l40'), '');
    for (const name of ['/l0', '/l20', '/l39', `/${'x/'.repeat(40_000)}`]) {
      const found = new Sysroot(root).trace(name);
      assert.ok(isTrace(found) ? found.path === '/l40' : found.errno !== '', name);
    }
  });
});

describe('an interpreter that Linux refuses', needs('cc'), () => {
  const LOADER = '/lib64/ld-linux-x86-64.so.2';

  test('is reported if it is for another machine', () => {
    const others = [{ class: 32 }, { byteOrder: 'big' }, { machine: 183 }] as const;
    for (const other of others) {
      const root = rootWithProgram();
      writeFileSync(root + LOADER, makeElf({ machine: 62, ...other }).bytes);
      assert.throws(() => resolve(request(root)), {
        code: 'INTERPRETER_NOT_FOUND',
        message: `/program: its interpreter ${LOADER} is for another machine`,
      });
    }
  });

  test('is reported if it is not executable', () => {
    const root = rootWithProgram();
    chmodSync(root + LOADER, 0o644);
    assert.throws(() => resolve(request(root)), {
      code: 'INTERPRETER_NOT_FOUND',
      message: `/program: its interpreter ${LOADER} is not executable`,
    });
  });
});

describe('very long search paths', needs('cc'), () => {
  test('are searched, or refused if no real program could have them', () => {
    const few = rootWithProgram(`-Wl,-rpath,${Array(900).fill('/d').join(':')}`);
    assert.equal(resolve(request(few)).missing.length, 1);
    const items = Array.from({ length: 9000 }, (_, n) => `/${n}`).join(':');
    const names = Array.from({ length: 15 }, (_, n) => `-l:libgone${n}.so`);
    const root = tempDir();
    writeFileSync(path.join(root, 'x.c'), 'int main(void) { return 0; }\n');
    for (const name of names) {
      const file = name.slice('-l:'.length);
      exec('cc', ['-nostdlib', '-shared', '-fPIC', '-o', file, 'x.c'], { cwd: root });
    }
    const many = rootWithProgram(`-Wl,-rpath,${items}`, `-L${root}`, ...names);
    assert.throws(() => resolve(request(many)), {
      code: 'MALFORMED_ELF',
      message: /dynamic section/,
    });
  });
});

describe('reading ld.so.conf', () => {
  test('matches patterns as glob(7) does, with any number of asterisks', () => {
    const cases: [pattern: string, name: string, matches: boolean][] = [
      ['*.conf', 'a.conf', true],
      ['*.conf', 'a.conf.bak', false],
      ['a?c', 'abc', true],
      ['a?c', 'ac', false],
      ['[a-c]x', 'bx', true],
      ['[!a-c]x', 'bx', false],
      ['[]]', ']', true],
      ['[a', '[a', true],
      ['\\*', '*', true],
      ['\\*', 'a', false],
      ['a*b*c', 'aXbYbZc', true],
      ['*{a,b}', 'x{a,b}', true],
      [`${'*a'.repeat(100)}b`, 'a'.repeat(255), false],
    ];
    for (const [pattern, name, matches] of cases) {
      assert.equal(globMatcher(pattern)(name), matches, `${pattern} ${name}`);
    }
  });

  test('follows includes in order, once, and survives circular includes', () => {
    const root = tempDir();
    mkdirSync(path.join(root, 'etc/conf.d'), { recursive: true });
    const write = (name: string, text: string) => writeFileSync(path.join(root, 'etc', name), text);
    write('ld.so.conf', '/first # not this\ninclude conf.d/*.conf\n/last/=libc6\nhwcap 1 x\n');
    write('conf.d/b.conf', '/b\ninclude /etc/ld.so.conf\n');
    write('conf.d/a.conf', '/a/\n/first\nrelative\n');
    write('conf.d/c.txt', '/c\n');
    assert.deepEqual(readLdSoConf(new Sysroot(root)), ['/first', '/a', '/b', '/last']);
  });
});
