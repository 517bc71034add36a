import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { build } from '../../src/library/build.js';
import { exec } from '../support/cli.js';
import { cpuOfLoader } from '../support/loader-oracle.js';
import { checkRule, type RuleMachine } from '../support/loader-rules.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Foreign {
  readonly name: string;
  /** Name of the loader in /lib of its own root. */
  readonly loader: string;
  /** Offset and value of the byte of e_machine that turns a file into one for another machine. */
  readonly otherMachine: string;
  /** EI_DATA of the other byte order. */
  readonly otherOrder: number;
  /** Rules that do not apply to this machine. */
  readonly without: readonly string[];
}

const FOREIGN: readonly Foreign[] = [
  {
    name: 'aarch64',
    loader: 'ld-linux-aarch64.so.1',
    otherMachine: '18 62',
    otherOrder: 2,
    without: [],
  },
  {
    name: 's390x',
    loader: 'ld64.so.1',
    otherMachine: '18 183',
    otherOrder: 1,
    // Its platform is the processor model, and glibc reports none under the emulator.
    without: ['token-in-name', 'tokens'],
  },
];

/**
 * Rules that are the same on each machine and do not need ldconfig(8), which only handles its own.
 */
const RULES = [
  ...['audit', 'auxiliary-missing', 'cyclic-needed', 'default-directories', 'filter'],
  ...['identification', 'library-path', 'library-path-tokens', 'list-ends', 'not-mappable'],
  ...['origin', 'path-items', 'rpath', 'rpath-chain', 'runpath', 'runpath-voids-rpath'],
  ...['same-file', 'slash-name', 'soname-reuse', 'stops-at-file', 'token-in-name', 'tokens'],
  ...['audit-search', 'slash-name-wrong-class', 'wrong-class'],
];

for (const { name, loader, otherMachine, otherOrder, without } of FOREIGN) {
  const compiler = `${name}-linux-gnu-gcc`;
  const qemu = `qemu-${name}-static`;
  const file = `/usr/${name}-linux-gnu/lib/${loader}`;
  const needed = needsRoot(compiler, qemu, 'cc', 'make', 'busybox');
  const options = needed.skip === false && !existsSync(file) ? { skip: `needs ${file}` } : needed;
  describe(`the loader rules for ${name}, under an emulator`, options, () => {
    if (options.skip !== false) return;
    const emulator = exec('sh', ['-c', `command -v ${qemu}`]).stdout.trim();
    const machine: RuleMachine = {
      make: [
        `CC=${compiler}`,
        `OBJCOPY=${name}-linux-gnu-objcopy`,
        `MACHINE_NAME=${name}`,
        `OTHER_MACHINE=${otherMachine}`,
        `OTHER_ORDER=${otherOrder}`,
      ],
      name,
      loaders: { [`/lib/${loader}`]: file },
      cpu: cpuOfLoader([emulator, file]),
      emulator,
    };
    for (const rule of RULES) {
      if (!without.includes(rule)) test(rule, () => checkRule(rule, machine));
    }

    test('the loader accepts the cache of a jail in its own byte order', async () => {
      const root = tempDir();
      const cc = (...args: string[]) => {
        const { status, stderr } = exec(compiler, ['-nostdlib', '-x', 'c', ...args], {
          cwd: root,
          input: 'int main(void) { return 0; }',
        });
        assert.equal(status, 0, stderr);
      };
      for (const directory of ['lib', 'etc', 'opt/lib']) {
        mkdirSync(path.join(root, directory), { recursive: true });
      }
      copyFileSync(file, path.join(root, 'lib', loader));
      for (const n of [9, 10]) {
        cc('-shared', '-fPIC', '-o', `opt/lib/liba.so.${n}`, `-Wl,-soname,liba.so.${n}`, '-');
      }
      const linked = ['-Wl,--no-as-needed', '-Lopt/lib', '-l:liba.so.9', '-l:liba.so.10'];
      cc('-o', 'program', '-Wl,-e,main', '-', ...linked);
      // Only a cache leads there, and the root has none.
      writeFileSync(path.join(root, 'etc/ld.so.conf'), '/opt/lib\n');
      const jail = path.join(tempDir(), 'jail');
      const request = { programs: ['/program'], sysroot: root, terminfo: 'none' } as const;
      await build(request, jail, { noSync: true, record: false });
      copyFileSync(emulator, path.join(jail, 'emulator'));
      const command = ['chroot', jail, '/emulator', `/lib/${loader}`, '--list', '/program'];
      const { stdout, stderr } = exec('busybox', command);
      assert.match(stdout, /liba\.so\.9 => \/opt\/lib\/liba\.so\.9 /, stderr);
      assert.match(stdout, /liba\.so\.10 => \/opt\/lib\/liba\.so\.10 /, stderr);
    });
  });
}
