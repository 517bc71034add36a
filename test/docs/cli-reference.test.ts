import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { EXIT } from '../../src/cli/exit-status.js';
import { groupedOptions } from '../../src/cli/option-text.js';
import { ERROR_CODES } from '../../src/errors.js';
import { blocks, tableBelow, unescaped } from '../../src/tooling/cli-reference.js';
import { PROJECT } from '../support/cli.js';
import { runBlocks } from './blocks.js';

const REFERENCE = readFileSync(path.join(PROJECT, 'docs/cli.md'), 'utf8');

/** Returns the text from one heading of the second level to the next. */
function section(name: string): string {
  const from = REFERENCE.indexOf(`\n## ${name}\n`);
  assert.ok(from >= 0, `no section ${name}`);
  const end = REFERENCE.indexOf('\n## ', from + 1);
  return REFERENCE.slice(from, end < 0 ? undefined : end);
}

/** Returns the words formatted as code in the first column of a table. */
function firstWords(heading: string): string[] {
  return tableBelow(REFERENCE, heading).flatMap(([cell = '']) =>
    [...unescaped(cell).matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? ''),
  );
}

describe('docs/cli.md', () => {
  for (const [index, { name, options }] of COMMANDS.entries()) {
    test(`${name} has a section with an example that is run, and tables of its options`, () => {
      const text = section(name);
      const commands = runBlocks(text).flatMap(({ steps }) => steps.map(({ command }) => command));
      const start = index === 0 ? 'jailbuild /' : `jailbuild ${name}`;
      assert.ok(
        commands.some((command) => command.startsWith(start)),
        commands.join('\n'),
      );
      const groups = blocks(text).map((block) => `${block.name}: ${block.group ?? 'Options'}`);
      assert.deepEqual(
        groups,
        [...groupedOptions(options).keys()].map((group) => `${name}: ${group}`),
      );
    });
  }

  test('the table lists every error code, and no other', () => {
    assert.deepEqual(firstWords('## Error codes').sort(), [...ERROR_CODES].sort());
  });

  test('the table lists every exit status', () => {
    const text = tableBelow(REFERENCE, '## Exit status').map(([status]) => status);
    for (const status of Object.values(EXIT)) assert.ok(text.includes(String(status)), `${status}`);
  });
});
