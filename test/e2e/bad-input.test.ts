import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { exec, type Finished, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

/** Directory of terminal descriptions in this distribution. */
const TERMINFO =
  ['/usr/share/terminfo', '/lib/terminfo', '/usr/lib/terminfo'].find((name) =>
    existsSync(`${name}/x`),
  ) ?? '/usr/share/terminfo';

/** Checks for one line on stderr without a stack, no output on stdout, and the status. */
function assertRefused({ status, stdout, stderr }: Finished, expected: RegExp, code = 1): void {
  assert.match(stderr, expected);
  assert.match(stderr, /^jailbuild: [^\n]+\n$/);
  assert.equal(stdout, '');
  assert.equal(status, code);
}

test('a full disk behind standard output causes one line of error', needs('sh'), () => {
  for (const line of ['profiles', 'profiles show no-such --json', 'tree ls --nss none']) {
    const { status, stderr } = exec('sh', [
      '-c',
      `exec "$0" "$@" >/dev/full`,
      process.execPath,
      JAILBUILD,
      ...line.split(' '),
    ]);
    assert.match(
      stderr,
      /^jailbuild: (standard output: no space left on device|no-such: [^\n]+)\n$/,
    );
    assert.equal(status, 1);
  }
});

describe('invalid input is refused in one line, and nothing is written', () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const file = (name: string, content: string | Buffer, mode = 0o755): string => {
    const made = path.join(directory, name);
    writeFileSync(made, content);
    chmodSync(made, mode);
    return made;
  };
  const refuses = (name: string, args: () => readonly string[], expected: RegExp, code = 1) =>
    test(name, () => {
      const argv = args();
      const before = snapshot(directory);
      assertRefused(jailbuild(argv), expected, code);
      assert.deepEqual(snapshot(directory), before);
    });

  refuses(
    'a library replaced by something else',
    () => {
      const libc = exec('ldd', [process.execPath]).stdout.match(/=> (\/\S+libc\.so\.6)/)?.[1];
      return [jail, 'ls', '--quiet', '--include', `${file('text', 'no library')}:${libc}`];
    },
    /\/text: not an ELF file/,
  );
  refuses(
    'a program that is not on PATH',
    () => [jail, 'no-such-program'],
    /no-such-program: program not found on PATH \(/,
  );
  refuses(
    'a path that does not exist',
    () => [jail, '/no/such/file'],
    /\/no\/such\/file: no such file or directory/,
  );
  refuses('a directory', () => [jail, directory], /is a directory, not a program/);
  refuses('an empty file', () => [jail, file('empty', '')], /empty: is an empty file/);
  refuses(
    'a file that is neither ELF nor script',
    () => [jail, file('text', 'hello')],
    /text: is neither an ELF file nor a script/,
  );
  refuses(
    'a truncated ELF file',
    () => {
      const cut = file('cut', readFileSync('/bin/ls'));
      truncateSync(cut, 200);
      return [jail, cut];
    },
    /cut: malformed ELF file: /,
  );
  refuses(
    'an ELF file whose dynamic section lies outside of all segments',
    () => {
      const bytes = readFileSync('/bin/ls');
      const phoff = Number(bytes.readBigUInt64LE(32));
      for (let index = 0; index < bytes.readUInt16LE(56); index++) {
        const at = phoff + index * 56;
        if (bytes.readUInt32LE(at) === 2) bytes.writeBigUInt64LE(0x7fff_ffff_ffff_fff0n, at + 16);
      }
      return [jail, file('broken', bytes)];
    },
    /broken: malformed ELF file: /,
  );
  refuses(
    'a target that is a file',
    () => [file('target', 'x'), 'ls'],
    /target: .*not a directory/,
  );
  refuses('the root directory', () => ['/', 'ls'], /\/: .*root/);
  refuses(
    'a target below a tree that is copied',
    () => [path.join(TERMINFO, 'jail'), 'ls', '--terminfo', 'all', '--dry-run'],
    /terminfo\/jail: /,
  );
  refuses('no program', () => [jail], /name at least one program/, 2);
  refuses('an unknown option', () => [jail, 'ls', '--colour'], /colour/, 2);
  refuses(
    'a manifest file that cannot be written',
    () => [jail, 'ls', '--manifest', path.join(directory, 'no/such/manifest.json')],
    /manifest\.json: no such file or directory/,
  );
  refuses(
    'an unknown terminal description',
    () => [jail, 'ls', '--terminfo', 'no-such-terminal'],
    /no-such-terminal/,
  );
});

describe('a library that cannot be found', needs('cc'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const program = path.join(directory, 'program');
  writeFileSync(path.join(directory, 'l.c'), 'int answer(void) { return 42; }');
  writeFileSync(
    path.join(directory, 'p.c'),
    'int answer(void); int main(void) { return answer(); }',
  );
  const cc = (...args: string[]) => assert.equal(exec('cc', args, { cwd: directory }).status, 0);

  test('is reported with its users and the searched paths, and nothing is written', () => {
    cc('-shared', '-fPIC', '-o', 'libanswer.so', 'l.c');
    cc('-o', 'program', 'p.c', '-L.', '-lanswer', '-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib');
    const before = snapshot(directory);
    const refused = jailbuild([jail, program]);
    assertRefused(refused, /libanswer\.so: library not found, needed by .*\/program; searched /);
    assert.ok(refused.stderr.includes(`${realpathSync(directory)}/lib/libanswer.so [runpath]`));
    assert.deepEqual(snapshot(directory), before);
  });

  test('causes a warning with --allow-missing', () => {
    const { status, stderr } = jailbuild([jail, program, '--allow-missing']);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^jailbuild: warning: libanswer\.so: library not found/);
  });

  test('has its code and path in JSON output', () => {
    const { status, stdout } = jailbuild([path.join(directory, 'j2'), program, '--json']);
    assert.equal(status, 1);
    const { error } = JSON.parse(stdout);
    assert.equal(error.code, 'LIBRARY_NOT_FOUND');
    assert.equal(error.path, realpathSync(program));
  });
});

describe('a script that cannot be started is refused, and nothing is written', () => {
  const directory = tempDir();
  const cases: readonly (readonly [name: string, line: string, expected: RegExp])[] = [
    [
      'missing',
      '#!/no/such/interpreter -x',
      /its interpreter \/no\/such\/interpreter does not exist/,
    ],
    ['none', '#!', /names no interpreter/],
    ['long', `#!/${'x'.repeat(300)}`, /longer than the 255 bytes/],
    ['mode', '#!/etc/passwd', /\/etc\/passwd is not executable/],
    ['nobody', '#!/usr/bin/env no-such-program', /no-such-program is not on PATH \(/],
    ['words', '#!/usr/bin/env bash -e', /"bash -e"; env splits words only with -S/],
    ['loop', '#!/usr/bin/env A=b bash', /without end/],
    ['itself', '#!SELF', /more than the 5 that Linux follows/],
    ['env-itself', '#!/usr/bin/env -S SELF', /starts the script again, without end/],
  ];
  for (const [name, line, expected] of cases) {
    test(name, () => {
      const script = path.join(directory, name);
      writeFileSync(script, `${line.replace('SELF', script)}\n`, { mode: 0o755 });
      assertRefused(jailbuild([path.join(directory, 'jail'), script]), expected);
      assert.equal(existsSync(path.join(directory, 'jail')), false);
    });
  }
});

describe('a file system that refuses writes', needsRoot('mount', 'umount'), () => {
  const mounts: string[] = [];
  after(() => {
    for (const mount of mounts) exec('umount', [mount]);
  });
  const directory = tempDir();
  const tmpfs = (name: string, options: string): string => {
    const mount = path.join(directory, name);
    mkdirSync(mount);
    const { status, stderr } = exec('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount]);
    assert.equal(status, 0, stderr);
    mounts.push(mount);
    return mount;
  };

  test('full: the error names the file, and no new target is left', () => {
    const small = tmpfs('small', 'size=1m');
    const refused = jailbuild([path.join(small, 'jail'), 'ls', '--quiet']);
    assertRefused(refused, /\/[^ ]+: no space left on device/);
    assert.deepEqual(Object.keys(snapshot(small)), ['.']);
  });

  test('full: an existing target does not change', () => {
    const small = tmpfs('small2', 'size=2m');
    const jail = path.join(small, 'jail');
    mkdirSync(path.join(jail, 'usr/bin'), { recursive: true });
    copyFileSync('/bin/ls', path.join(jail, 'usr/bin/ls'));
    symlinkSync('usr/bin', path.join(jail, 'bin'));
    const before = snapshot(small);
    assertRefused(jailbuild([jail, 'ls', 'bash', '--quiet']), /no space left on device/);
    assert.deepEqual(snapshot(small), before);
  });

  test('read-only: the error names the target', () => {
    const readOnly = tmpfs('ro', 'size=1m,ro');
    assertRefused(jailbuild([path.join(readOnly, 'jail'), 'ls']), /read-only file system/);
  });
});

test('a file system without new directories is reported as such', needsRoot('unshare'), () => {
  const directory = tempDir();
  const script = 'mount -t sysfs sysfs "$0" && exec "$@"';
  const command = [process.execPath, JAILBUILD, `${directory}/jail`, 'env', '-q'];
  const result = exec('unshare', ['--mount', 'sh', '-c', script, directory, ...command]);
  assertRefused(result, /\/jail: operation not permitted$/m);
});

test('an unreadable program is reported', needsRoot('setpriv'), () => {
  const directory = tempDir();
  const secret = path.join(directory, 'secret');
  copyFileSync('/bin/ls', secret);
  chmodSync(secret, 0o700);
  // The clone itself may lie where only root has access.
  const dist = path.join(directory, 'dist');
  cpSync(path.dirname(JAILBUILD), dist, { recursive: true });
  const asNobody = exec('setpriv', [
    ...['--reuid=65534', '--regid=65534', '--clear-groups'],
    ...[process.execPath, path.join(dist, path.basename(JAILBUILD))],
    ...[path.join(directory, 'jail'), secret, '--dry-run'],
  ]);
  assertRefused(asNobody, /secret: permission denied/);
});
