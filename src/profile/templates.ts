import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Schema } from '@cfworker/json-schema';

/**
 * Returns the real path of a file in templates/: in the package, beside the directory of the
 * bundles; for the sources, two levels up.
 */
export function templatePath(inside: string): string {
  const places = [`../templates/${inside}`, `../../templates/${inside}`];
  const candidates = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined) throw new Error(`${candidates[0]}: is not in the package`);
  return found;
}

/** Returns a JSON Schema that the package publishes. */
export function publishedSchema(name: 'jail' | 'profile'): Schema {
  return JSON.parse(readFileSync(templatePath(`schema/${name}.schema.json`), 'utf8')) as Schema;
}
