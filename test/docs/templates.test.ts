import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { PROJECT } from '../support/cli.js';

const TEXT = readFileSync(path.join(PROJECT, 'docs/ci.md'), 'utf8');

/** What is in the blocks with these words behind the language. */
function blocks(words: string): string[] {
  return [...TEXT.matchAll(new RegExp(`^\`\`\`\\w+ ${words}\\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, content]) => content ?? '',
  );
}

for (const name of readdirSync(path.join(PROJECT, 'templates/ci'))) {
  test(`docs/ci.md shows templates/ci/${name} as it is`, () => {
    const file = `templates/ci/${name}`;
    assert.deepEqual(blocks(file), [readFileSync(path.join(PROJECT, file), 'utf8')]);
  });
}

test("the workflow in docs/ci.md is what GitHub's own parser takes for one", () => {
  const errors = (content = '') =>
    parseWorkflow({ name: 'workflow.yml', content }, new NoOperationTraceWriter())
      .context.errors.getErrors()
      .map(({ message }) => message);
  const [workflow, ...others] = blocks('workflow');
  assert.deepEqual(others, []);
  assert.deepEqual(errors(workflow), []);
  assert.notDeepEqual(errors(workflow?.replace('runs-on', 'run-on')), []);
});
