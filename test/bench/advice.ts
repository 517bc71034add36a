import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { FEW, inScratch } from './build.js';
import { COMMAND, type Contender, compare, type Timing } from './compare.js';
import { printGoals } from './goals.js';

const ROUNDS = 15;
const [PLAIN, ADVISED] = ['resolved without advice', 'resolved with advice'];
const DEFAULT = 'build --no-cache';
const PACKAGES = 'build --no-cache --with-package';
const SCRIPT = 'build --no-cache of a script';
const FIRST = 'first build, empty cache';
/** Limits of processor time over a default build, in milliseconds. */
const LIMITS: Readonly<Record<string, number | undefined>> = {
  [PACKAGES]: 30,
  [SCRIPT]: undefined,
  [FIRST]: undefined,
};

/** The cost of advice, of packages, of a script and of the first build. */
export async function benchAdvice(): Promise<void> {
  inScratch((scratch) => {
    const file = bundle(scratch);
    const resolved = (name: string, how: string): Contender => ({
      name,
      command: () => [process.execPath, file, how, ...FEW],
    });
    const resolutions = [resolved(PLAIN, 'plain'), resolved(ADVISED, 'advised')];
    const title = `${FEW.join(' ')}, resolved`;
    printGoals(compare(title, resolutions, ROUNDS, scratch), [
      { of: ADVISED, to: PLAIN, wall: 1.03, processor: 1.03 },
    ]);
    const timings = compare(`${FEW.join(' ')}, built`, builds(scratch), ROUNDS, scratch);
    printDifferences(timings);
  });
}

function builds(scratch: string): Contender[] {
  const script = path.join(scratch, 'script');
  writeFileSync(script, '#!/bin/sh\nls | sort | uniq -c | head -n 1\n', { mode: 0o755 });
  const build = (name: string, ...args: string[]): Contender => ({
    name,
    command: (d) => [...COMMAND, `${d}/jail`, '--no-sync', '--quiet', ...args],
  });
  return [
    build(DEFAULT, '--no-cache', ...FEW),
    build(PACKAGES, '--no-cache', '--with-package', ...FEW),
    build(SCRIPT, '--no-cache', script, ...FEW),
    {
      name: FIRST,
      prepare: (d) => mkdirSync(`${d}/cache`, { mode: 0o700 }),
      command: (d) => [
        'env',
        `XDG_CACHE_HOME=${d}/cache`,
        ...[...COMMAND, `${d}/jail`, '--no-sync', '--quiet', ...FEW],
      ],
    },
  ];
}

/** Bundles the resolver as the command is bundled, so that loading it costs the same. */
function bundle(scratch: string): string {
  const outfile = path.join(scratch, 'advice-run.mjs');
  buildSync({
    entryPoints: [fileURLToPath(new URL('advice-run.ts', import.meta.url))],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'silent',
  });
  return outfile;
}

function printDifferences(timings: readonly Timing[]): void {
  const base = timings.find(({ name }) => name === DEFAULT);
  if (base === undefined) return;
  for (const { name, processor } of timings) {
    if (!(name in LIMITS)) continue;
    const limit = LIMITS[name];
    const more = processor - base.processor;
    const judged = limit === undefined ? '' : ` (limit ${limit}${more <= limit ? '' : ', missed'})`;
    console.log(`  ${name}, over a default build: processor ${more.toFixed(0)} ms more${judged}`);
  }
}
