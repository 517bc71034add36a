import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { PROJECT } from '../support/cli.js';

/**
 * The JSON Schema of the OCI runtime specification, and its examples
 * (fixtures/oci-runtime/README.md).
 */
const SCHEMA = path.join(PROJECT, 'fixtures/oci-runtime/runtime-spec/schema');

/** Returns a validator for the specification's schema. */
export function officialSchema(name: 'config-schema.json' | 'state-schema.json'): ValidateFunction {
  const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
  for (const file of readdirSync(SCHEMA).filter((each) => each.endsWith('.json'))) {
    // They are draft 4 schemas, and use nothing that differs in later drafts.
    const { $schema, ...schema } = JSON.parse(readFileSync(path.join(SCHEMA, file), 'utf8'));
    ajv.addSchema(schema, file);
  }
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`${name} is not among the schemas`);
  return validate;
}

/** Returns the specification's examples of config.json by name, as text. */
export function examplesOf(kind: 'good' | 'bad'): ReadonlyMap<string, string> {
  const directory = path.join(SCHEMA, 'test/config', kind);
  return new Map(
    readdirSync(directory).map((name) => [
      name.replace(/\.json$/, ''),
      readFileSync(path.join(directory, name), 'utf8'),
    ]),
  );
}
