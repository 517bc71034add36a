import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { compareCacheNames } from '../../src/loader/cache-order.js';
import { type CacheEntry, parseLdSoCache } from '../../src/loader/ld-so-cache.js';
import { writeLdSoCache } from '../../src/loader/ld-so-cache-writer.js';
import { exec, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const HOST_CACHE = '/etc/ld.so.cache';

/**
 * Returns what `ldconfig -p` prints of a cache: `name (kinds) => path`, in the order of the cache.
 */
function listed(file: string): string[] {
  const { status, stdout, stderr } = exec('/sbin/ldconfig', ['-p', '-C', file], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  assert.equal(status, 0, stderr);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('\t'))
    .map((line) => line.trim());
}

/** Returns the same from jailbuild's reader, without the kinds, which it keeps as flags. */
function read(file: string): string[] {
  const all = [...parseLdSoCache(readFileSync(file), file).values()].flat();
  return all.map(({ soname, path: to }) => `${soname} => ${to}`).sort();
}

function withoutKinds(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/ \(.*?\) => /, ' => ')).sort();
}

/** Creates a root with libraries, including variants for feature levels, for a real ldconfig. */
function rootWithLibraries(): string {
  const root = tempDir();
  const compile = (file: string, soname: string) => {
    const to = path.join(root, file);
    mkdirSync(path.dirname(to), { recursive: true });
    writeFileSync(path.join(root, 'empty.c'), `int ${soname.replace(/\W/g, '_')};\n`);
    const args = ['-shared', '-o', to, `-Wl,-soname,${soname}`, path.join(root, 'empty.c')];
    const { status, stderr } = exec('cc', ['-nostdlib', ...args]);
    assert.equal(status, 0, stderr);
  };
  for (const n of [1, 2, 9, 10, 11, 100]) compile(`usr/lib/libn.so.${n}`, `libn.so.${n}`);
  compile('usr/lib/liblevel.so.1.2.3', 'liblevel.so.1');
  for (const level of ['x86-64-v2', 'x86-64-v3', 'x86-64-v4']) {
    compile(`usr/lib/glibc-hwcaps/${level}/liblevel.so.1`, 'liblevel.so.1');
  }
  compile('opt/one/lib/libopt.so.1', 'libopt.so.1');
  mkdirSync(path.join(root, 'etc'), { recursive: true });
  mkdirSync(path.join(root, 'lib'), { recursive: true });
  writeFileSync(path.join(root, 'etc/ld.so.conf'), '/opt/one/lib\n');
  return root;
}

describe('the reader of ld.so.cache', () => {
  test('lists the same libraries as ldconfig for the cache of the host', () => {
    assert.deepEqual(read(HOST_CACHE), withoutKinds(listed(HOST_CACHE)));
  });

  test('reads every format that ldconfig writes', needsRoot('cc'), () => {
    const root = rootWithLibraries();
    for (const format of ['new', 'compat', 'old'] as const) {
      const { status, stderr } = exec('/sbin/ldconfig', ['-r', root, '-c', format]);
      assert.equal(status, 0, stderr);
      const file = path.join(root, 'etc/ld.so.cache');
      const bytes = readFileSync(file);
      const old = bytes.toString('latin1', 0, 11) === 'ld.so-1.7.0';
      assert.equal(old, format !== 'new');
      const entries = parseLdSoCache(bytes, file);
      assert.deepEqual(read(file), withoutKinds(listed(file)), format);
      assert.equal(entries.get('libopt.so.1')?.[0]?.path, '/opt/one/lib/libopt.so.1');
      const levels = entries.get('liblevel.so.1')?.map(({ hwcaps }) => hwcaps);
      const wanted = ['x86-64-v2', 'x86-64-v3', 'x86-64-v4', undefined];
      // The old format has no levels, so ldconfig lists the files without them. In a new cache
      // after an old one, their names are not found.
      const otherwise = { old: wanted.map(() => undefined), compat: ['', '', '', undefined] };
      assert.deepEqual(levels, format === 'new' ? wanted : otherwise[format], format);
    }
  });

  test('names the malformed field', () => {
    const good = writeLdSoCache(
      [
        { soname: 'liba.so.1', path: '/lib/liba.so.1', flags: 0x303, hwcaps: 'x86-64-v3' },
        { soname: 'liba.so.1', path: '/lib/x/liba.so.1', flags: 0x303, hwcaps: undefined },
      ],
      'little',
    );
    const broken: [name: RegExp, change: (bytes: Buffer) => Buffer][] = [
      [/unknown magic/, (bytes) => bytes.fill(0, 0, 4)],
      [/header is cut short/, (bytes) => bytes.subarray(0, 40)],
      [/nlibs is 4294967295/, (bytes) => set(bytes, 20, 0xffffffff)],
      [/extension_offset/, (bytes) => set(bytes, 32, 0x7fffffff)],
      [/unknown magic number/, (bytes) => set(bytes, bytes.readUInt32LE(32), 1)],
      [/sections, more than/, (bytes) => set(bytes, bytes.readUInt32LE(32) + 4, 0xffffffff)],
      [/hwcaps section/, (bytes) => set(bytes, bytes.readUInt32LE(32) + 20, 0xfffffffc)],
      [/unknown hwcaps index 9/, (bytes) => set(bytes, 48 + 16, 9)],
      [/a string at/, (bytes) => set(bytes, 48 + 8, 0xfffffff0)],
    ];
    for (const [message, change] of broken) {
      assert.throws(() => parseLdSoCache(change(Buffer.from(good)), '/etc/ld.so.cache'), {
        code: 'MALFORMED_CACHE',
        message,
      });
    }
  });
});

function set(bytes: Buffer, at: number, value: number): Buffer {
  bytes.writeUInt32LE(value, at);
  return bytes;
}

describe('the writer of ld.so.cache', () => {
  test('orders names as ldconfig does', needs('cc'), () => {
    const names = listed(HOST_CACHE).map((line) => line.slice(0, line.indexOf(' ')));
    for (const [index, name] of names.entries()) {
      const next = names[index + 1];
      if (next !== undefined) assert.ok(compareCacheNames(name, next) >= 0, `${name} ${next}`);
    }
    assert.ok(compareCacheNames('libn.so.10', 'libn.so.9') > 0);
    assert.equal(compareCacheNames('libn.so.01', 'libn.so.1'), 0);
    assert.ok(compareCacheNames('liba1', 'libab') > 0);
    assert.ok(compareCacheNames('liba', 'liba.so') < 0);
  });

  test('writes what the reader read, in both byte orders', () => {
    const bytes = readFileSync(HOST_CACHE);
    const entries = [...parseLdSoCache(bytes, HOST_CACHE).values()].flat();
    for (const order of ['little', 'big'] as const) {
      const again = parseLdSoCache(writeLdSoCache(shuffled(entries), order), 'made');
      assert.deepEqual(
        [...again.values()].flat().map(text).sort(),
        entries.map(text).sort(),
        order,
      );
    }
  });

  test('agrees with ldconfig on the same libraries, including levels', needsRoot('cc'), () => {
    const root = rootWithLibraries();
    exec('/sbin/ldconfig', ['-r', root, '-c', 'new']);
    const file = path.join(root, 'etc/ld.so.cache');
    const entries = [...parseLdSoCache(readFileSync(file), file).values()].flat();
    const made = path.join(root, 'made.cache');
    writeFileSync(made, writeLdSoCache(shuffled(entries), 'little'));
    assert.deepEqual(listed(made), listed(file));
  });
});

const text = ({ soname, path: to, hwcaps, flags }: CacheEntry) =>
  `${soname} ${flags} ${hwcaps} ${to}`;

/** Returns the items in another, reproducible order. */
function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items];
  let seed = 7;
  for (let last = copy.length - 1; last > 0; last--) {
    seed = (seed * 16807) % 2147483647;
    const other = seed % (last + 1);
    [copy[last], copy[other]] = [copy[other] as T, copy[last] as T];
  }
  return copy;
}

describe('--ld-cache generate', () => {
  test(
    'creates a cache of exactly the jail that ldconfig and the loader accept',
    needsRoot('chroot', 'ssh'),
    () => {
      const jail = path.join(tempDir(), 'jail');
      const { status, stderr } = jailbuild([jail, 'ls', 'ssh', '--quiet']);
      assert.equal(status, 0, stderr);
      const cache = path.join(jail, 'etc/ld.so.cache');
      const lines = listed(cache);
      assert.ok(lines.length >= 4, lines.join('\n'));
      for (const line of lines) {
        const to = line.slice(line.indexOf(' => ') + 4);
        const { status: there } = exec('/usr/sbin/chroot', [jail, '/usr/bin/ls', to]);
        assert.equal(there, 0, `${to} is not in the jail`);
      }
      const { stderr: debug } = exec('/usr/sbin/chroot', [jail, '/usr/bin/ls', '/'], {
        env: { LD_DEBUG: 'libs' },
      });
      const searches = debug.split(/find library=/).slice(1);
      const needed = searches.filter((search) => /^lib/.test(search));
      assert.ok(needed.length >= 2, debug);
      for (const search of needed) {
        assert.match(search, /search cache=\/etc\/ld\.so\.cache\n.*trying file=\/\S+\n/, search);
        assert.doesNotMatch(search, /search path=/, 'the loader searched beyond the cache');
      }
    },
  );

  test('creates the same bytes each time', () => {
    const manifests = [1, 2].map(() => {
      const { stdout, status, stderr } = jailbuild(['/nowhere/jail', 'ls', '--dry-run', '--json']);
      assert.equal(status, 0, stderr);
      return stdout;
    });
    assert.equal(manifests[0], manifests[1]);
    assert.match(manifests[0] ?? '', /"path":"\/etc\/ld.so.cache".*"content":"/);
  });

  test('lists a library once if two programs need it', () => {
    const { stdout } = jailbuild(['/nowhere/jail', 'ls', 'bash', '--dry-run', '--json']);
    const entry = JSON.parse(stdout).entries.find(
      ({ path: at }: { path: string }) => at === HOST_CACHE,
    );
    const libc = parseLdSoCache(Buffer.from(entry.content, 'base64'), 'made').get('libc.so.6');
    assert.equal(libc?.length, 1);
  });
});

describe('a library that only the cache leads to', () => {
  /** Creates a sysroot with a program and its library in a directory of ld.so.conf. */
  function sysroot(withCache: boolean): string {
    const root = tempDir();
    for (const file of [
      '/bin/true',
      '/lib64/ld-linux-x86-64.so.2',
      '/lib/x86_64-linux-gnu/libc.so.6',
    ]) {
      mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      copyFileSync(file, path.join(root, file));
    }
    const library = path.join(root, 'opt/private/libprivate.so.1');
    mkdirSync(path.dirname(library), { recursive: true });
    mkdirSync(path.join(root, 'etc'));
    writeFileSync(path.join(root, 'lib.c'), 'int answer(void) { return 0; }\n');
    writeFileSync(
      path.join(root, 'main.c'),
      'int answer(void); int main(void) { return answer(); }\n',
    );
    const cc = (...args: string[]) => {
      const { status, stderr } = exec('cc', args, { cwd: root });
      assert.equal(status, 0, stderr);
    };
    cc('-shared', '-fPIC', '-o', library, '-Wl,-soname,libprivate.so.1', 'lib.c');
    cc('-o', 'bin/program', 'main.c', library);
    writeFileSync(path.join(root, 'etc/ld.so.conf'), '/opt/private\n');
    if (withCache) exec('/sbin/ldconfig', ['-r', root]);
    return root;
  }

  for (const withCache of [true, false]) {
    const title = withCache ? 'in the cache of the host' : 'in a cache that ldconfig would make';
    test(`${title} is in the cache of the jail`, needsRoot('cc', 'chroot'), () => {
      const jail = path.join(tempDir(), 'jail');
      const { status, stderr } = jailbuild([jail, '/bin/program', '--sysroot', sysroot(withCache)]);
      assert.equal(status, 0, stderr);
      assert.equal(exec('/usr/sbin/chroot', [jail, '/bin/program']).status, 0);
      assert.match(
        listed(path.join(jail, 'etc/ld.so.cache')).join('\n'),
        /libprivate.so.1 .*\/opt\/private/,
      );
    });
  }

  test('is reported as missing with --ld-cache none', needsRoot('cc'), () => {
    const jail = path.join(tempDir(), 'jail');
    const args = [jail, '/bin/program', '--sysroot', sysroot(true), '--ld-cache', 'none'];
    const { status, stderr } = jailbuild(args);
    assert.equal(status, 1);
    assert.match(stderr, /libprivate\.so\.1: library not found, needed by \/bin\/program/);
    assert.match(stderr, /--ld-cache generate/);
  });
});

describe('--library-path', () => {
  test(
    'searches as LD_LIBRARY_PATH does, and reports that the jail needs that variable',
    needsRoot('cc', 'chroot'),
    () => {
      const root = tempDir();
      writeFileSync(path.join(root, 'lib.c'), 'int answer(void) { return 0; }\n');
      writeFileSync(
        path.join(root, 'main.c'),
        'int answer(void); int main(void) { return answer(); }\n',
      );
      mkdirSync(path.join(root, 'libs'));
      exec('cc', ['-shared', '-fPIC', '-o', 'libs/libmine.so', 'lib.c'], { cwd: root });
      exec('cc', ['-o', 'program', 'main.c', '-Llibs', '-lmine'], { cwd: root });
      const jail = path.join(tempDir(), 'jail');
      const program = path.join(root, 'program');
      const without = jailbuild([jail, program], {
        env: { ...process.env, LD_LIBRARY_PATH: `${root}/libs` },
      });
      assert.equal(without.status, 1, 'LD_LIBRARY_PATH was read from the environment');
      const { status, stderr } = jailbuild([jail, program, '--library-path', 'libs'], {
        cwd: root,
      });
      assert.equal(status, 0, stderr);
      assert.match(stderr, new RegExp(`LD_LIBRARY_PATH=${root}/libs`));
      const env = { LD_LIBRARY_PATH: `${root}/libs` };
      assert.equal(exec('/usr/sbin/chroot', [jail, program], { env }).status, 0);
    },
  );
});
