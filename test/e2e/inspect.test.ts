import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (name: string) => path.join(directory, name);

interface Inspected {
  readonly status: string;
  readonly interpreter?: string;
  readonly buildId?: string;
  readonly dynamic?: { readonly needed: readonly string[] };
  readonly programHeaders: readonly { readonly type: string; readonly address: unknown }[];
  readonly sections: readonly { readonly name: string; readonly address: unknown }[];
  readonly problems: readonly string[];
}

function inspect(file: string): Inspected {
  const { status, stdout, stderr } = jailbuild(['inspect', file, '--json']);
  assert.equal(status, 0, stderr);
  assert.equal(jailbuild(['inspect', file]).status, 0);
  return JSON.parse(stdout);
}

describe('inspect shows what is readable', needs('cc', 'objcopy', 'readelf'), () => {
  const program = at('program');

  before(() => {
    writeFileSync(at('p.c'), 'int main(void) { return 0; }');
    succeed('cc', ['-g', '-o', program, at('p.c'), '-Wl,--build-id']);
  });

  test('of a file with only debug information', () => {
    succeed('objcopy', ['--only-keep-debug', program, at('program.debug')]);
    const found = inspect(at('program.debug'));
    const { stdout } = exec('readelf', ['-n', program]);
    assert.equal(found.buildId, /Build ID: ([0-9a-f]+)/.exec(stdout)?.[1]);
    assert.ok(found.sections.some(({ name }) => name === '.debug_info'));
    assert.ok(found.problems.length > 0);
  });

  const x64 = process.arch === 'x64' ? {} : { skip: 'needs x86-64' };
  test('of addresses from 2^53 on, as in kernels', x64, () => {
    writeFileSync(at('k.c'), 'int start(void) { return 0; }');
    const flags = ['-c', '-fno-pic', '-mcmodel=kernel', '-ffreestanding'];
    succeed('cc', [...flags, '-o', at('k.o'), at('k.c')]);
    const placed = ['-e', 'start', '-Ttext=0xffffffff81000000'];
    succeed('ld', [...placed, '-o', at('kernel'), at('k.o')]);
    const found = inspect(at('kernel'));
    assert.ok(found.sections.some(({ address }) => address === '0xffffffff81000000'));
    assert.ok(found.programHeaders.some(({ address }) => address === '0xffffffff81000000'));
    assert.deepEqual(found.problems, []);
  });

  test('of a file with more program headers than e_phnum can count', () => {
    const bytes = readFileSync(program);
    const count = bytes.readUInt16LE(56);
    const sections = Number(bytes.readBigUInt64LE(40));
    bytes.writeUInt16LE(0xffff, 56);
    bytes.writeUInt32LE(count, sections + 44);
    writeFileSync(at('many'), bytes);
    const found = inspect(at('many'));
    assert.equal(found.programHeaders.length, count);
    assert.match(found.problems.join(), /e_phnum is 65535/);
  });

  test('of truncated tables', () => {
    const bytes = readFileSync(program);
    writeFileSync(at('cut'), bytes.subarray(0, 4096));
    const found = inspect(at('cut'));
    assert.equal(found.interpreter?.startsWith('/lib'), true);
    assert.equal(found.dynamic, undefined);
    assert.ok(found.problems.length > 0);
  });
});

describe('interpreters', needsRoot('cc', 'patchelf', 'chroot'), () => {
  const make = (name: string, interpreter: string) => {
    writeFileSync(at('p.c'), 'int main(void) { return 0; }');
    succeed('cc', ['-o', at(name), at('p.c')]);
    succeed('patchelf', ['--set-interpreter', interpreter, at(name)]);
    return at(name);
  };

  test('with a relative path are found below the root', () => {
    const loader = /interpreter: (\S+)\]/.exec(
      exec('readelf', ['-l', process.execPath]).stdout,
    )?.[1];
    assert.ok(loader !== undefined);
    const program = make('relative', loader.slice(1));
    assert.equal(inspect(program).interpreter, loader.slice(1));
    const { status, stderr } = jailbuild([at('jail'), program]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /its interpreter \S+ is relative to the working directory/);
    assert.equal(exec('chroot', [at('jail'), program]).status, 0);
  });

  test('that are missing do not hide the rest of a tree', () => {
    const program = make('lost', '/nowhere/ld.so');
    const { status, stdout } = jailbuild(['tree', program]);
    assert.equal(status, 1);
    assert.match(stdout, /\/nowhere\/ld\.so: not found/);
    assert.match(stdout, /libc\.so\.6 => \/\S+/);
    assert.equal(jailbuild(['tree', program, '--allow-missing']).status, 0);
    writeFileSync(at('script'), '#!/nowhere/interpreter\n', { mode: 0o755 });
    const both = jailbuild(['tree', at('script'), program]);
    assert.match(both.stdout, /\/nowhere\/interpreter: not found/);
    assert.match(both.stdout, /libc\.so\.6/);
    const built = jailbuild([at('jail-lost'), program]);
    assert.match(built.stderr, /its interpreter \/nowhere\/ld\.so does not exist/);
  });
});

describe(
  'a missing library is reported with a hint at its location',
  needsRoot('cc', 'ldconfig', 'chroot'),
  () => {
    const root = at('root');

    before(() => {
      assert.equal(jailbuild([root, 'true', '--no-record']).status, 0);
      mkdirSync(`${root}/opt/lib/glibc-hwcaps/x86-64-v3`, { recursive: true });
      mkdirSync(`${root}/opt/conf`);
      writeFileSync(at('x.c'), 'int x(void) { return 0; }');
      writeFileSync(at('y.c'), 'int x(void); int main(void) { return x(); }');
      const shared = ['-shared', '-fPIC', '-Wl,-soname,libx.so'];
      succeed('cc', [...shared, '-o', at('libx.so'), at('x.c')]);
      succeed('cc', ['-o', `${root}/usr/bin/y`, at('y.c'), at('libx.so'), '-Wl,-rpath,/opt/lib']);
    });

    test('for newer processors only, or in a directory of ld.so.conf only', () => {
      const tree = () =>
        jailbuild(['/nonexistent/jail', 'y', '--sysroot', root, '--ld-cache', 'copy']);
      succeed('cp', [at('libx.so'), `${root}/opt/lib/glibc-hwcaps/x86-64-v3/libx.so`]);
      assert.match(
        tree().stderr,
        /only processors with more features find \/opt\/lib\/\S*v3\/libx\.so/,
      );
      succeed('rm', ['-r', `${root}/opt/lib`]);
      succeed('cp', [at('libx.so'), `${root}/opt/conf/libx.so`]);
      writeFileSync(`${root}/etc/ld.so.conf`, '/opt/conf\n');
      assert.match(
        tree().stderr,
        /it is at \/opt\/conf\/libx\.so, in a directory of ld\.so\.conf.*run ldconfig/,
      );
      succeed('ldconfig', ['-r', root]);
      assert.equal(jailbuild(['tree', 'y', '--sysroot', root]).status, 0);
    });
  },
);
