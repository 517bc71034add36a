import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ERROR_CODES } from '../../src/errors.js';
import { PROJECT } from '../support/cli.js';

interface Message {
  readonly file: string;
  readonly code: string;
  /** As in the source, with its placeholders. */
  readonly text: string;
}

const sources = readdirSync(path.join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('tooling/'))
  .map((name) => `src/${name}`)
  .map((file) => ({ file, text: readFileSync(path.join(PROJECT, file), 'utf8') }));

/** The messages that stand as literals where an error is made. */
const messages = sources.flatMap(({ file, text: source }): Message[] =>
  [
    ...source.matchAll(
      /new JailbuildError\(\s*'(?<code>\w+)',\s*(?:`(?<template>(?:[^`\\]|\\.)*)`|'(?<plain>(?:[^'\\]|\\.)*)')/g,
    ),
  ].map(({ groups = {} }) => ({
    file,
    code: groups.code ?? '',
    text: groups.template ?? groups.plain ?? '',
  })),
);

/** Words that state a problem or a feeling before anything is named. */
const WITHOUT_SUBJECT =
  /^(an? )?(cannot|can't|could|couldn't|does|error|failed|failure|has|invalid|is|oops|please|sorry|unable|unexpected)\b/i;

/** Returns the messages that break a rule, with their files. */
function breaking(isBroken: (message: Message) => boolean): string[] {
  return messages.filter(isBroken).map(({ file, code, text }) => `${file}: ${code}: ${text}`);
}

test('the messages of errors are found in the source', () => {
  const made = sources.flatMap(({ text }) => text.match(/new JailbuildError\(/g) ?? []);
  assert.ok(messages.length > made.length * 0.8, `${messages.length} of ${made.length}`);
});

test('a message begins with its subject, in lower case', () => {
  const isNamed = /^([-$/a-z]|SOURCE_DATE_EPOCH\b)/;
  assert.deepEqual(
    breaking(({ text }) => !isNamed.test(text) || WITHOUT_SUBJECT.test(text)),
    [],
  );
});

test('a message is one line without a full stop or an exclamation mark', () => {
  assert.deepEqual(
    breaking(({ text }) => /\n|\\n|[^.]\.$|!$/.test(text)),
    [],
  );
});

test('only the handler of internal errors speaks of a defect', () => {
  const speaking = sources.filter(({ text }) => /[`'"][^`'"\n]*\bdefect\b/.test(text));
  assert.deepEqual(
    speaking.map(({ file }) => file),
    ['src/cli/report-error.ts'],
  );
});

test('each code is that of some error', () => {
  const unused = ERROR_CODES.filter(
    (code) =>
      !sources.some(({ file, text }) => file !== 'src/errors.ts' && text.includes(`'${code}'`)),
  );
  assert.deepEqual(unused, []);
});
