import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { exec } from '../support/cli.js';
import { cpuOfLoader } from '../support/loader-oracle.js';
import { checkRule, type RuleMachine } from '../support/loader-rules.js';
import { needsRoot } from '../support/need.js';

interface Foreign {
  readonly name: string;
  /** The loader's name in /lib of its own root. */
  readonly loader: string;
  /** The byte of e_machine, and its place, that makes a file one for another machine. */
  readonly otherMachine: string;
  /** EI_DATA of the other byte order. */
  readonly otherOrder: number;
  /** Rules that say nothing about it. */
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
    // Its platform is the processor's model, and glibc has none of it under the emulator.
    without: ['token-in-name', 'tokens'],
  },
];

/** Rules that are the same for each machine, and need no ldconfig(8), which knows its own alone. */
const RULES = [
  ...['audit', 'auxiliary-missing', 'cyclic-needed', 'default-directories', 'filter'],
  ...['identification', 'library-path', 'library-path-tokens', 'list-ends', 'not-mappable'],
  ...['origin', 'path-items', 'rpath', 'rpath-chain', 'runpath', 'runpath-voids-rpath'],
  ...['same-file', 'slash-name', 'soname-reuse', 'stops-at-file', 'token-in-name', 'tokens'],
  ...['wrong-class'],
];

for (const { name, loader, otherMachine, otherOrder, without } of FOREIGN) {
  const compiler = `${name}-linux-gnu-gcc`;
  const qemu = `qemu-${name}-static`;
  const file = `/usr/${name}-linux-gnu/lib/${loader}`;
  const needed = needsRoot(compiler, qemu, 'cc', 'make', 'busybox');
  const options = needed.skip === false && !existsSync(file) ? { skip: `needs ${file}` } : needed;
  describe(`the rules of the loader for ${name}, under an emulator`, options, () => {
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
  });
}
