import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generatedDocuments } from '../../src/tooling/docs.js';

describe('generated tables in the documents are up to date', () => {
  for (const { file, is, toBe } of generatedDocuments()) {
    test(file, () => assert.equal(is, toBe, 'run `npm run docs`'));
  }
});
