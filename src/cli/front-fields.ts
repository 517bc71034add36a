import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { pathBuffer } from '../fs/path-bytes.js';
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

/** Returns a file with a checksum, as `are_of_program` and `is_whole` of native/front/stored.c read it. */
export function storedFile(schema: string, body: Buffer): Buffer {
  const head = asFields([schema, ...programFields(), crc32(body)]);
  return Buffer.concat([pathBuffer(head), body]);
}
