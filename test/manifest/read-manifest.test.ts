import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { JailbuildError } from '../../src/errors.js';
import { canonicalJson } from '../../src/manifest/canonical-json.js';
import { addDigests } from '../../src/manifest/digest.js';
import { MANIFEST_SCHEMA } from '../../src/manifest/manifest.js';
import { parseManifest, readManifest } from '../../src/manifest/read.js';
import { resolve } from '../../src/resolve/resolve.js';
import { plan } from '../../src/resolve/to-manifest.js';
import { tempDir } from '../support/temp-dir.js';

type Json = Record<string, unknown>;

const BASE = { mode: '0755', uid: 0, gid: 0, mtime: '1.000000000', reasons: [{ kind: 'parent' }] };
const directory = (name: string): Json => ({ path: name, type: 'directory', ...BASE });
const file = (name: string): Json => ({
  path: name,
  type: 'file',
  ...BASE,
  size: 3,
  content: 'YWJj',
});

const text = (entries: readonly unknown[], top: Json = {}): string =>
  JSON.stringify({
    schema: MANIFEST_SCHEMA,
    request: { programs: ['ls'], terminfo: 'none', ldCache: 'copy' },
    entries,
    missing: [],
    warnings: [],
    ...top,
  });

test('a printed manifest is read back unchanged', async () => {
  const manifest = await addDigests(plan(resolve({ programs: ['/bin/ls', '/bin/bash'] })), '');
  assert.deepEqual(parseManifest(canonicalJson(manifest), 'm'), manifest);
});

test('entries may come in any order', () => {
  const read = parseManifest(text([file('/a/b'), file('/a/a'), directory('/a')]), 'm');
  assert.deepEqual(
    read.entries.map((entry) => entry.path),
    ['/a', '/a/a', '/a/b'],
  );
});

describe('an invalid manifest is refused with the position of the mistake', () => {
  const refused: readonly (readonly [name: string, text: string, message: string])[] = [
    ['no JSON', '{', 'is not JSON: '],
    ['a list', '[]', 'is not an object'],
    [
      'a variable name with an equals sign',
      text([], { environment: { 'A=B': '' } }),
      'environment: "A=B" is not a variable name',
    ],
    ['a numeric variable', text([], { environment: { A: 1 } }), 'environment.A: is not a string'],
    ['no schema', '{}', 'schema: is missing'],
    [
      'another version',
      text([], { schema: 'jailbuild.manifest/2' }),
      `schema: is "jailbuild.manifest/2", expected ${MANIFEST_SCHEMA}`,
    ],
    ['an unknown field', text([], { extra: 1 }), 'extra: is not a field of this format'],
    ['no entries', text([], { entries: undefined }), 'entries: is missing'],
    ['entries that are no list', text([], { entries: {} }), 'entries: is not a list'],
    [
      'a program that is not a string',
      text([], { request: { programs: [1], terminfo: 'none', ldCache: 'copy' } }),
      'request.programs[0]: is not a string',
    ],
    ['a null entry', text([null]), 'entries[0]: is not an object'],
    ['an unknown type', text([{ ...file('/a'), type: 'door' }]), 'entries[0].type: is "door"'],
    [
      'a type that every object has as a member',
      text([{ ...file('/a'), type: 'constructor' }]),
      'entries[0].type: is "constructor"',
    ],
    [
      'a misspelt field',
      text([{ ...file('/a'), diggest: 'x' }]),
      'entries[0].diggest: is not a field of this format',
    ],
    ...['/..', '/a/../b', '/a/./b', '/a//b', '/a/', '/', 'a', '', '/a\0b'].map(
      (name) =>
        [`the path ${JSON.stringify(name)}`, text([file(name)]), 'entries[0].path: '] as const,
    ),
    [
      'a name of 256 bytes',
      text([file(`/${'ä'.repeat(128)}`)]),
      'entries[0].path: has a name longer',
    ],
    ['a path twice', text([file('/a'), file('/a')]), 'entries[1].path: /a occurs twice'],
    ['no parent', text([file('/a/b')]), 'entries[0].path: /a/b has no parent directory /a'],
    [
      'a parent that is a link',
      text([{ path: '/a', type: 'symlink', ...BASE, target: '/etc' }, file('/a/b')]),
      'entries[1].path: /a/b has no parent directory /a',
    ],
    ['a numeric mode', text([{ ...file('/a'), mode: 493 }]), 'entries[0].mode: is not a string'],
    [
      'a mode that is not octal',
      text([{ ...file('/a'), mode: '0888' }]),
      'entries[0].mode: is not an octal',
    ],
    ['a negative uid', text([{ ...file('/a'), uid: -1 }]), 'entries[0].uid: is not a number'],
    [
      'the uid that means "no user"',
      text([{ ...file('/a'), uid: 4294967295 }]),
      'entries[0].uid: ',
    ],
    [
      'a time without nanoseconds',
      text([{ ...file('/a'), mtime: '1' }]),
      'entries[0].mtime: is not seconds',
    ],
    ['no reasons', text([{ ...file('/a'), reasons: undefined }]), 'entries[0].reasons: is missing'],
    [
      'a file without source and content',
      text([{ ...file('/a'), content: undefined }]),
      'entries[0]: has neither',
    ],
    ['content of another size', text([{ ...file('/a'), size: 4 }]), 'entries[0].size: is 4'],
    [
      'content that is not base64',
      text([{ ...file('/a'), content: '***' }]),
      'entries[0].content: ',
    ],
    [
      'an unknown kind of digest',
      text([{ ...file('/a'), digest: 'md5:0' }]),
      'entries[0].digest: ',
    ],
    ['a hostile source', text([{ ...file('/a'), source: '/../x' }]), 'entries[0].source: '],
    [
      'a hard link to a missing file',
      text([{ ...file('/b'), content: undefined, hardlink: '/a' }]),
      'entries[0].hardlink: /a is not a file listed before this one',
    ],
    [
      'a link without target',
      text([{ path: '/a', type: 'symlink', ...BASE }]),
      'entries[0].target: is missing',
    ],
    [
      'a device without numbers',
      text([{ path: '/a', type: 'block-device', ...BASE, major: 1 }]),
      'entries[0].minor: is missing',
    ],
    [
      'an attribute without a namespace',
      text([{ ...file('/a'), xattrs: { foo: '' } }]),
      'entries[0].xattrs: "foo" is not an attribute',
    ],
  ];
  for (const [name, content, message] of refused) {
    test(name, () => {
      assert.throws(
        () => parseManifest(content, 'plan.json'),
        (error: unknown) => {
          assert.ok(error instanceof JailbuildError);
          assert.equal(error.code, 'MANIFEST_INVALID');
          assert.ok(error.message.startsWith(`plan.json: ${message}`), error.message);
          return true;
        },
      );
    });
  }
});

test('a missing file is reported as not readable', () => {
  const missing = path.join(tempDir(), 'none.json');
  assert.throws(() => readManifest(missing), { code: 'NOT_READABLE' });
});

test('a manifest is read from a file', () => {
  const at = path.join(tempDir(), 'plan.json');
  writeFileSync(at, text([file('/a')]));
  assert.equal(readManifest(at).entries[0]?.path, '/a');
});
