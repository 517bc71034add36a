import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { machineName } from '../../src/cli/output/elf-names.js';
import { exec, jailbuild } from '../support/cli.js';
import { unpackDebian } from '../support/debian.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Architecture {
  readonly name: string;
  /** The emulator that runs its programs. */
  readonly qemu: string;
  readonly machine: string;
  readonly byteOrder: 'little' | 'big';
}

const ARCHITECTURES: readonly Architecture[] = [
  { name: 'arm64', qemu: 'qemu-aarch64-static', machine: 'aarch64', byteOrder: 'little' },
  { name: 's390x', qemu: 'qemu-s390x-static', machine: 's390', byteOrder: 'big' },
  { name: 'armhf', qemu: 'qemu-arm-static', machine: 'arm', byteOrder: 'little' },
  { name: 'ppc64el', qemu: 'qemu-ppc64le-static', machine: 'powerpc64', byteOrder: 'little' },
  { name: 'i386', qemu: 'qemu-i386-static', machine: 'i386', byteOrder: 'little' },
];

const directory = tempDir();

function build(name: string, root: string, ...programs: string[]): string {
  const jail = path.join(directory, `${name}-jail`);
  const { status, stderr } = jailbuild([jail, ...programs, '--sysroot', root]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return jail;
}

/** Runs a program inside a jail with an emulator that is copied into it temporarily. */
function runner(jail: string, qemu: string) {
  const emulator = exec('sh', ['-c', `command -v ${qemu}`]).stdout.trim();
  copyFileSync(emulator, path.join(jail, qemu));
  return (...command: string[]) =>
    exec('chroot', [jail, `/${qemu}`, ...command], {
      env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin' },
    });
}

for (const { name, qemu, machine, byteOrder } of ARCHITECTURES) {
  describe(`a jail for ${name} from Debian packages`, needsRoot(qemu, 'apt-get', 'chroot'), () => {
    test('runs, and its own loader finds the recorded libraries', (context) => {
      const root = path.join(directory, name);
      const impossible = unpackDebian(root, name, ['coreutils', 'dash']);
      if (impossible !== undefined) return context.skip(impossible);
      const jail = build(name, root, 'ls', 'dash', 'id');
      const run = runner(jail, qemu);
      assert.equal(run('/bin/dash', '-c', 'echo $((6 * 7))').stdout, '42\n');
      const listed = run('/bin/ls', '-l', '/bin/ls');
      assert.equal(listed.stderr, '');
      assert.match(listed.stdout, /^-rwxr-xr-x .* \/bin\/ls\n$/);
      assert.match(run('/usr/bin/id').stdout, /^uid=0/);

      const described = JSON.parse(
        jailbuild(['inspect', 'ls', '--sysroot', root, '--json']).stdout,
      );
      assert.equal(described.machine.name, machine);
      assert.equal(machineName(described.machine.number), machine);
      assert.equal(described.byteOrder, byteOrder);

      const loader = run(described.interpreter, '--list', '/bin/ls');
      assert.equal(loader.status, 0, loader.stderr);
      const theirs = [...loader.stdout.matchAll(/^\s*(\S+) => (\S+)/gm)].map(
        ([, soname, file]) => `${soname} ${file}`,
      );
      const tree = JSON.parse(
        jailbuild(['tree', '/bin/ls', '--sysroot', jail, '--json', '--nss', 'none']).stdout,
      );
      const ours = new Set<string>();
      const visit = (node: { name: string; path: string; needs: [] }): void => {
        if (/^lib/.test(node.name)) ours.add(`${node.name} ${node.path}`);
        node.needs.forEach(visit);
      };
      tree.programs.forEach(visit);
      assert.ok(theirs.length >= 3, loader.stdout);
      assert.deepEqual([...ours].sort(), theirs.filter((line) => line.startsWith('lib')).sort());
    });
  });
}

describe(
  'a jail for riscv64 from cross libraries',
  needsRoot('riscv64-linux-gnu-gcc', 'qemu-riscv64-static', 'chroot'),
  () => {
    test('runs', () => {
      const root = path.join(directory, 'riscv64');
      const libraries = path.join(root, 'lib/riscv64-linux-gnu');
      mkdirSync(path.join(root, 'usr/bin'), { recursive: true });
      mkdirSync(libraries, { recursive: true });
      for (const file of readdirSync('/usr/riscv64-linux-gnu/lib')) {
        if (/^(lib[cm]\.so\.6|ld-.*)$/.test(file)) {
          copyFileSync(`/usr/riscv64-linux-gnu/lib/${file}`, path.join(libraries, file));
        }
      }
      const loader = readdirSync(libraries).find((file) => file.startsWith('ld-linux-riscv64'));
      symlinkSync(`/lib/riscv64-linux-gnu/${loader}`, path.join(root, 'lib', loader ?? ''));
      const source = path.join(directory, 'riscv.c');
      writeFileSync(
        source,
        '#include <stdio.h>\n#include <math.h>\nint main(int n, char **v) { printf("%s %.0f\\n", v[1], cos(n - 2.0) * 42); return 0; }',
      );
      const made = exec('riscv64-linux-gnu-gcc', [
        '-o',
        path.join(root, 'usr/bin/riscv'),
        source,
        '-lm',
      ]);
      assert.equal(made.status, 0, made.stderr);
      const jail = build('riscv64', root, 'riscv');
      assert.equal(
        runner(jail, 'qemu-riscv64-static')('/usr/bin/riscv', 'hello').stdout,
        'hello 42\n',
      );
    });
  },
);

describe('a sysroot with hostile links', needsRoot('cc'), () => {
  test('contributes nothing from outside, and is read in bounded time', () => {
    const root = path.join(directory, 'hostile');
    mkdirSync(path.join(root, 'usr/bin'), { recursive: true });
    mkdirSync(path.join(root, 'etc'));
    for (const [at, target] of [
      ['lib', '../../../../../../lib'],
      ['lib64', '/../../lib64'],
      ['etc/ld.so.cache', '../../../../../etc/ld.so.cache'],
      ['etc/nsswitch.conf', '/etc/nsswitch.conf'],
      ['usr/lib', '../lib'],
      ['usr/share', '/usr/share'],
    ]) {
      symlinkSync(target ?? '', path.join(root, at ?? ''));
    }
    copyFileSync('/bin/ls', path.join(root, 'usr/bin/ls'));
    fails('INTERPRETER_NOT_FOUND', /its interpreter \/lib64\/ld-.* does not exist$/, [
      path.join(directory, 'hostile-jail'),
      'ls',
      '--sysroot',
      root,
    ]);
    assert.ok(!existsSync(path.join(directory, 'hostile-jail')));
  });

  test('is refused if the target is inside it or contains it', () => {
    const root = path.join(directory, 'around');
    mkdirSync(path.join(root, 'inner'), { recursive: true });
    const made = exec('cc', ['-static', '-o', path.join(root, 'program'), '-x', 'c', '-'], {
      input: 'int main(void) { return 0; }',
    });
    assert.equal(made.status, 0, made.stderr);
    const alias = path.join(directory, 'alias');
    symlinkSync(root, alias);
    for (const sysroot of [root, alias]) {
      fails('TARGET_HOLDS_SOURCES', /^.+ contains .+$/, [root, '/program', '--sysroot', sysroot]);
    }
    const inside = jailbuild([
      path.join(root, 'inner/jail'),
      '/program',
      '--sysroot',
      root,
      '--dry-run',
    ]);
    assert.equal(inside.status, 0, inside.stderr);
  });
});
