import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { runBlocks } from './blocks.js';
import { Place } from './place.js';

const DOCUMENTS = [
  'README.md',
  ...readdirSync(path.join(PROJECT, 'docs')).map((name) => `docs/${name}`),
]
  .filter((name) => name.endsWith('.md'))
  .map((name) => [name, runBlocks(readFileSync(path.join(PROJECT, name), 'utf8'))] as const)
  .filter(([, blocks]) => blocks.length > 0);

for (const [name, blocks] of DOCUMENTS) {
  describe(name, needsRoot('unshare', 'nsenter', 'mount', 'bash'), () => {
    const place = new Place();
    // A block may use files of earlier blocks.
    const programs: string[] = [];
    for (const block of blocks) {
      programs.push(...block.needs, ...(block.terminal ? ['tmux'] : []));
      test(
        `line ${block.line}: ${block.file ?? block.steps[0]?.command}`,
        needs(...programs),
        () => {
          if (block.file !== undefined) return place.write(block);
          return block.terminal ? place.type(block) : place.run(block);
        },
      );
    }
  });
}
