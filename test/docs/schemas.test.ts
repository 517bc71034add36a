import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { PROJECT } from '../support/cli.js';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** Returns the YAML blocks of a document, except files that are deliberately wrong. */
function examples(document: string): readonly string[] {
  const markdown = readFileSync(path.join(PROJECT, 'docs', document), 'utf8');
  return [...markdown.matchAll(/^```yaml([^\n]*)\n(.*?)^```$/gms)]
    .filter(([, words]) => !words?.includes('slip'))
    .map(([, , text]) => text ?? '');
}

/** Returns every key that a schema allows, such as `users.name`. */
function keys({ properties = {}, items }: Schema, at = ''): string[] {
  const own = Object.entries(properties).flatMap(([key, schema]) => [
    `${at}${key}`,
    ...keys(schema, `${at}${key}.`),
  ]);
  return items === undefined ? own : [...own, ...keys(items, at)];
}

/** Returns every key of a value, in the same form. */
function used(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => used(item, at));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    `${at}${key}`,
    ...used(member, `${at}${key}.`),
  ]);
}

/** @param common members that turn an example into a whole file */
function check(document: string, schemaName: string, common: object): void {
  const schema = JSON.parse(
    readFileSync(path.join(PROJECT, `templates/schema/${schemaName}.schema.json`), 'utf8'),
  );
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false });
  const validate = ajv.compile(schema);

  test('each example conforms to the schema', () => {
    const all = examples(document);
    assert.ok(all.length > 3);
    for (const text of all) {
      const valid = validate({ ...common, ...parse(text) });
      assert.ok(valid, `${text}\n${ajv.errorsText(validate.errors)}`);
    }
  });

  test('each key of the schema occurs in an example', () => {
    const shown = new Set(examples(document).flatMap((text) => used(parse(text))));
    assert.deepEqual(
      keys(schema).filter((key) => !shown.has(key)),
      [],
    );
  });
}

describe('profiles.md', () => check('profiles.md', 'profile', { summary: 'A part' }));
describe('jail-file.md', () => check('jail-file.md', 'jail', {}));
