import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { PROJECT } from '../support/cli.js';

const TEXT = readFileSync(path.join(PROJECT, 'docs/ci.md'), 'utf8');

/** Returns the content of blocks with these words after the language. */
function blocks(words: string): string[] {
  return [...TEXT.matchAll(new RegExp(`^\`\`\`\\w+ ${words}\\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, content]) => content ?? '',
  );
}

for (const name of readdirSync(path.join(PROJECT, 'templates/examples/ci'))) {
  test(`docs/ci.md shows templates/examples/ci/${name} unchanged`, () => {
    const file = `templates/examples/ci/${name}`;
    assert.deepEqual(blocks(file), [readFileSync(path.join(PROJECT, file), 'utf8')]);
  });
}

/** Returns the errors of GitHub's own parser for a workflow. */
function workflowErrors(content: string): unknown[] {
  return parseWorkflow({ name: 'workflow.yml', content }, new NoOperationTraceWriter())
    .context.errors.getErrors()
    .map(({ message }) => message);
}

test('the workflow of the project is valid and runs the CI script', () => {
  const own = readFileSync(path.join(PROJECT, '.github/workflows/ci.yml'), 'utf8');
  assert.deepEqual(workflowErrors(own), []);
  assert.match(own, /^ +- run: \.ci\/run$/m);
});

test("GitHub's own parser accepts the workflow in docs/ci.md", () => {
  const [workflow, ...others] = blocks('workflow');
  assert.deepEqual(others, []);
  assert.deepEqual(workflowErrors(workflow ?? ''), []);
  assert.notDeepEqual(workflowErrors(workflow?.replace('runs-on', 'run-on') ?? ''), []);
});
