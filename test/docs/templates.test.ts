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

for (const name of readdirSync(path.join(PROJECT, 'templates/examples/ci'))) {
  test(`docs/ci.md shows templates/examples/ci/${name} as it is`, () => {
    const file = `templates/examples/ci/${name}`;
    assert.deepEqual(blocks(file), [readFileSync(path.join(PROJECT, file), 'utf8')]);
  });
}

/** What GitHub's own parser has against a workflow. */
function workflowErrors(content: string): unknown[] {
  return parseWorkflow({ name: 'workflow.yml', content }, new NoOperationTraceWriter())
    .context.errors.getErrors()
    .map(({ message }) => message);
}

test("the project's own workflow is one, and runs what CI is", () => {
  const own = readFileSync(path.join(PROJECT, '.github/workflows/ci.yml'), 'utf8');
  assert.deepEqual(workflowErrors(own), []);
  assert.match(own, /^ +- run: \.ci\/run$/m);
});

test("the workflow in docs/ci.md is what GitHub's own parser takes for one", () => {
  const [workflow, ...others] = blocks('workflow');
  assert.deepEqual(others, []);
  assert.deepEqual(workflowErrors(workflow ?? ''), []);
  assert.notDeepEqual(workflowErrors(workflow?.replace('runs-on', 'run-on') ?? ''), []);
});
