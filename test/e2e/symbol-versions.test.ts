import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { elfHash } from '../support/version-elf.js';

const directory = tempDir();
const at = (name: string) => path.join(directory, name);

/**
 * Compiles a shared library libx.so.1 that defines `f` in the last of the versions, or unversioned.
 */
function makeLibrary(name: string, versions: readonly string[], code = 'int f(void){return 0;}') {
  mkdirSync(at(name), { recursive: true });
  const source = at(`${name}/x.c`);
  writeFileSync(source, code);
  const last = versions.at(-1);
  const map = versions.map((one) => `${one} { ${one === last ? 'global: f;' : ''} };\n`).join('');
  writeFileSync(at(`${name}/x.map`), map);
  const script = last === undefined ? [] : [`-Wl,--version-script,${at(`${name}/x.map`)}`];
  const flags = ['-shared', '-fPIC', '-Wl,-soname,libx.so.1', ...script];
  succeed('cc', [...flags, '-o', at(`${name}/libx.so.1`), source]);
}

/** Returns whether the loader binds all symbols of the program to the libraries of a directory. */
function starts(program: string, libraries: string): boolean {
  const env = { LD_LIBRARY_PATH: at(libraries), LD_BIND_NOW: '1' };
  return exec(program, [], { env }).status === 0;
}

/** Sets VER_FLG_WEAK of the only version need, as some linkers do for weak symbols. */
function markWeak(file: string, version: string): void {
  const bytes = readFileSync(file);
  const hash = Buffer.alloc(4);
  hash.writeUInt32LE(elfHash(version));
  const record = bytes.indexOf(hash);
  assert.ok(record > 0);
  bytes.writeUInt16LE(2, record + 4);
  writeFileSync(file, bytes);
}

describe('symbol versions', needs('cc'), () => {
  const program = at('program');
  const weak = at('weak');

  before(() => {
    makeLibrary('new', ['V_1', 'V_2']);
    makeLibrary('old', ['V_1']);
    makeLibrary('bare', []);
    makeLibrary('bare-with-libc', [], '#include <stdio.h>\nint f(void){return puts("f") < 0;}');
    const link = (name: string, code: string) => {
      writeFileSync(at(`${name}.c`), code);
      const library = at('new/libx.so.1');
      const here = [at(`${name}.c`), '-Wl,--no-as-needed', library, '-Wl,-rpath,$ORIGIN/lib'];
      succeed('cc', ['-o', at(name), ...here]);
    };
    link('program', 'int f(void); int main(void){return f();}');
    const declared = '__attribute__((weak)) int f(void);';
    link('weak', `${declared} int main(void){return f ? f() : 0;}`);
    markWeak(weak, 'V_2');
    mkdirSync(at('lib'));
  });

  test('that a library does not define stop the build, as they stop the program', () => {
    assert.ok(starts(program, 'new'));
    assert.ok(!starts(program, 'old'));
    for (const libraries of ['new', 'old']) {
      copyFileSync(at(`${libraries}/libx.so.1`), at('lib/libx.so.1'));
      const jail = at(`jail-${libraries}`);
      const { status, stderr } = jailbuild([jail, program]);
      if (libraries === 'new') {
        assert.equal(status, 0, stderr);
        continue;
      }
      assert.notEqual(status, 0);
      const named = `${at('lib/libx.so.1')}: does not define version V_2, needed by ${program}`;
      assert.ok(stderr.includes(named), stderr);
      assert.ok(!existsSync(jail));
      const allowed = jailbuild([jail, program, '--allow-missing']);
      assert.equal(allowed.status, 0, allowed.stderr);
      assert.ok(allowed.stderr.includes(named), allowed.stderr);
    }
  });

  test('of a newer C library stop the build', () => {
    const stub = at('stub');
    mkdirSync(stub);
    writeFileSync(`${stub}/c.c`, 'int g(void){return 0;}');
    writeFileSync(`${stub}/c.map`, 'GLIBC_2.99 { global: g; };\n');
    const flags = ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libc.so.6'];
    const map = `-Wl,--version-script,${stub}/c.map`;
    succeed('cc', [...flags, map, '-o', `${stub}/libc.so.6`, `${stub}/c.c`]);
    writeFileSync(`${stub}/p.c`, 'int g(void); int main(void){return g();}');
    const link = [`${stub}/p.c`, '-nostdlib', '-Wl,-e,main', `${stub}/libc.so.6`];
    succeed('cc', ['-o', `${stub}/p`, ...link]);
    const run = exec(`${stub}/p`, []);
    assert.match(run.stderr, /version `GLIBC_2\.99' not found/);
    const built = jailbuild([at('jail-99'), `${stub}/p`, '--json']);
    assert.equal(JSON.parse(built.stdout).error.code, 'VERSION_NOT_FOUND');
    assert.match(built.stdout, /libc\.so\.6: does not define version GLIBC_2\.99/);
  });

  test("that are weak, or of a library without versions, cause the loader's warnings", () => {
    copyFileSync(at('old/libx.so.1'), at('lib/libx.so.1'));
    assert.ok(starts(weak, 'old'));
    const loose = jailbuild([at('jail-weak'), weak]);
    assert.equal(loose.status, 0, loose.stderr);
    assert.match(loose.stderr, /libx\.so\.1: does not define V_2, a weak need of /);

    assert.ok(starts(program, 'bare-with-libc'));
    copyFileSync(at('bare-with-libc/libx.so.1'), at('lib/libx.so.1'));
    const bare = jailbuild([at('jail-bare'), program]);
    assert.equal(bare.status, 0, bare.stderr);
    assert.match(bare.stderr, /libx\.so\.1: has no version information/);
  });

  test('with a library without versioned symbols fail if the loader fails', () => {
    const doesStart = starts(program, 'bare');
    copyFileSync(at('bare/libx.so.1'), at('lib/libx.so.1'));
    const { status, stderr } = jailbuild([at('jail-unversioned'), program]);
    // Some linkers still give the library a version table.
    assert.equal(status === 0, doesStart, stderr);
    if (!doesStart) assert.match(stderr, /libx\.so\.1: its symbols have no versions/);
  });

  test('are compared with the libraries in the jail, by build and by check', () => {
    copyFileSync(at('new/libx.so.1'), at('lib/libx.so.1'));
    const jail = at('jail-kept');
    const inside = `${jail}${at('lib/libx.so.1')}`;
    mkdirSync(path.dirname(inside), { recursive: true });
    copyFileSync(at('old/libx.so.1'), inside);
    const kept = jailbuild([jail, program, '--no-clobber']);
    assert.notEqual(kept.status, 0);
    assert.match(kept.stderr, /in the jail: .*does not define version V_2/);

    const good = at('jail-good');
    assert.equal(jailbuild([good, program]).status, 0);
    copyFileSync(at('old/libx.so.1'), `${good}${at('lib/libx.so.1')}`);
    const checked = jailbuild(['check', good, '--json']);
    const { findings } = JSON.parse(checked.stdout) as {
      findings: { kind: string; path: string; details: string[] }[];
    };
    const [unresolved] = findings.filter(({ kind }) => kind === 'unresolved');
    assert.equal(unresolved?.path, program);
    assert.match(unresolved?.details.join() ?? '', /does not define version V_2/);
  });

  test('are shown by tree, and compared with --library-path and --sysroot', () => {
    copyFileSync(at('new/libx.so.1'), at('lib/libx.so.1'));
    const good = jailbuild(['tree', program]);
    assert.equal(good.status, 0, good.stderr);
    const plain = at('plain');
    succeed('cc', ['-o', plain, at('program.c'), at('new/libx.so.1')]);
    const other = jailbuild(['tree', plain, '--library-path', at('old')]);
    assert.notEqual(other.status, 0);
    assert.match(other.stdout, /libx\.so\.1: version V_2 not defined in .*old\/libx\.so\.1/);

    const root = at('root');
    const made = jailbuild([root, program, '--no-record']);
    assert.equal(made.status, 0, made.stderr);
    copyFileSync(at('old/libx.so.1'), `${root}${at('lib/libx.so.1')}`);
    const foreign = jailbuild([at('jail-foreign'), program, '--sysroot', root, '--json']);
    assert.equal(JSON.parse(foreign.stdout).error.code, 'VERSION_NOT_FOUND');
  });
});
