import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { cpuOfLoader } from '../support/loader-oracle.js';
import { checkRule, type RuleMachine, ruleNames } from '../support/loader-rules.js';
import { needsI386, needsRoot } from '../support/need.js';

const LOADER = '/lib64/ld-linux-x86-64.so.2';
const LOADERS = [LOADER, '/lib/ld-linux.so.2', '/lib/ld-musl-x86_64.so.1'];
const IS_X86_64 = process.arch === 'x64' && existsSync(LOADER);

// The fixtures contain the directories and levels of x86-64.
const NEEDS = IS_X86_64 ? needsRoot('cc', 'make', 'musl-gcc', 'busybox') : { skip: 'needs x86-64' };

describe('the rules of the loaders', NEEDS, () => {
  const machine: RuleMachine = {
    make: [],
    name: 'x86_64',
    loaders: Object.fromEntries(LOADERS.map((loader) => [loader, loader])),
    cpu: IS_X86_64 ? cpuOfLoader([LOADER]) : { levels: [], platform: undefined, legacy: [] },
  };
  for (const name of ruleNames()) {
    test(name, name === '32-bit' ? needsI386() : {}, () => checkRule(name, machine));
  }
});
