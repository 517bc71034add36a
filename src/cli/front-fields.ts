import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stampOf } from '../jail/record/record.js';

/** Returns fields as native/front/stored.c reads them: each ends with a NUL byte. */
export function asFields(fields: readonly (string | number)[]): string {
  return fields.map((field) => `${field}\0`).join('');
}

/** Returns the fields that identify this program: another one may say something else. */
export function programFields(): readonly string[] {
  const file = fileURLToPath(import.meta.url);
  return [file, stampOf(statSync(file, { bigint: true }))];
}
