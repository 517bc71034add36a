import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generatedDocuments } from '../../src/tooling/docs.js';

describe('tables that come from the code are as the code has them', () => {
  for (const { file, is, toBe } of generatedDocuments()) {
    test(file, () => assert.equal(is, toBe, 'npm run docs writes it anew'));
  }
});
