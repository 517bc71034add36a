import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inScratch } from './build.js';
import { COMMAND, type Contender, compare } from './compare.js';
import { type Goal, printGoals } from './goals.js';

const ROUNDS = 5;
const A_DIRECTORY = 100;
const [INCLUDE, AGAIN, COPY, NODE] = [
  'build --include --no-sync',
  'the same build, nothing changed',
  'cp -a',
  'node -e 0',
];

/**
 * Includes of trees with many files: into a new jail compared with `cp -a`, and again compared with
 * starting Node.
 */
export async function benchTrees(): Promise<void> {
  for (const [files, limit] of [
    [10_000, 3],
    [100_000, 12],
  ] as const) {
    inScratch((scratch) => {
      const tree = path.join(scratch, 'source/tree');
      makeTree(tree, files);
      // What has just changed is not trusted to be unchanged.
      spawnSync('sleep', ['3']);
      // New entries in a directory above the tree would count as a change of the host.
      const jails = path.join(scratch, 'jails');
      mkdirSync(jails, { mode: 0o755 });
      const words = ['true', '--include', tree, '--no-sync', '--quiet'];
      const contenders: readonly Contender[] = [
        { name: NODE, command: () => [process.execPath, '-e', '0'] },
        { name: COPY, command: (d) => ['cp', '-a', tree, `${d}/copy`] },
        { name: INCLUDE, command: (d) => [...COMMAND, `${d}/jail`, ...words] },
        { name: AGAIN, command: () => [...COMMAND, `${jails}/jail`, ...words] },
      ];
      const goals: readonly Goal[] = [
        { of: INCLUDE, to: COPY, wall: 1.3 },
        { of: AGAIN, to: NODE, wall: limit, processor: limit },
      ];
      printGoals(compare(`a tree of ${files} files`, contenders, ROUNDS, jails), goals);
    });
  }
}

/** Creates files of up to 4 kB, a hundred per directory. */
function makeTree(tree: string, files: number): void {
  for (let index = 0; index < files; index++) {
    const directory = path.join(tree, `d${Math.floor(index / A_DIRECTORY)}`);
    if (index % A_DIRECTORY === 0) mkdirSync(directory, { recursive: true, mode: 0o755 });
    writeFileSync(path.join(directory, `f${index}`), Buffer.alloc((index * 37) % 4096, index));
  }
}
