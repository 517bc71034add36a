import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { PackageURL } from 'packageurl-js';
import { jailbuild, PROJECT } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Component {
  readonly type: string;
  readonly name: string;
  readonly 'bom-ref': string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly components?: readonly Component[];
}

interface CycloneDx {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Spdx {
  readonly documentNamespace: string;
  readonly packages: readonly { readonly SPDXID: string; readonly name: string }[];
  readonly files: readonly {
    readonly SPDXID: string;
    readonly fileName: string;
    readonly checksums: readonly { readonly algorithm: string; readonly checksumValue: string }[];
  }[];
  readonly relationships: readonly {
    readonly spdxElementId: string;
    readonly relationshipType: string;
    readonly relatedSpdxElement: string;
  }[];
}

/** Bills of materials for an image with bash and ls, and a plan of the same. */
function exported(format: string): {
  readonly text: string;
  readonly digests: Map<string, string>;
} {
  const directory = tempDir();
  const made = ['export', 'bash', 'ls', '--to', `tar:${directory}/x.tar`, '--sbom', format];
  const file = path.join(directory, 'bill.json');
  const { status, stderr } = jailbuild([...made, '--sbom-file', file]);
  assert.equal(status, 0, stderr);
  const planned = jailbuild([`${directory}/jail`, 'bash', 'ls', '--dry-run', '--json']);
  const { entries } = JSON.parse(planned.stdout) as {
    entries: readonly { readonly path: string; readonly digest?: string }[];
  };
  const digests = entries.flatMap(({ path: at, digest }) =>
    digest === undefined ? [] : [[at, digest.replace('sha256:', '')] as const],
  );
  return { text: readFileSync(file, 'utf8'), digests: new Map(digests) };
}

test(
  'CycloneDX: the validator of the official library accepts the document, which lists every file',
  needs('dpkg'),
  async () => {
    const { text, digests } = exported('cyclonedx');
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    assert.equal(await validator.validate(text), null);
    const broken = text.replace('"type": "library"', '"type": "librari"');
    assert.notEqual(await validator.validate(broken), null);

    const document: CycloneDx = JSON.parse(text);
    const all = document.components.flatMap((one) => [one, ...(one.components ?? [])]);
    const files = all.filter(({ type }) => type === 'file');
    assert.deepEqual(
      new Map(
        files.map(({ name, hashes }) => [
          name,
          hashes?.find(({ alg }) => alg === 'SHA-256')?.content,
        ]),
      ),
      digests,
    );
    const owner = (file: string) =>
      document.components.find(({ components }) => components?.some(({ name }) => name === file));
    assert.equal(owner('/usr/bin/bash')?.name, 'bash');
    assert.equal(owner('/usr/bin/ls')?.name, 'coreutils');
    const purl = PackageURL.fromString(owner('/usr/bin/bash')?.purl ?? '');
    assert.equal(purl.type, 'deb');
    assert.equal(purl.name, 'bash');

    const refs = new Set(['root', ...all.map((one) => one['bom-ref'])]);
    const needed = new Map(document.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    for (const [ref, dependsOn] of needed) {
      for (const one of [ref, ...dependsOn]) assert.ok(refs.has(one), one);
    }
    const names = (ref = '') => (needed.get(ref) ?? []).map((one) => /\/([^/@]+)@/.exec(one)?.[1]);
    assert.ok(names('root').includes('bash') && names('root').includes('coreutils'));
    assert.ok(names(owner('/usr/bin/bash')?.['bom-ref']).includes('libc6'));
  },
);

test(
  'SPDX: the document conforms to the specification, and every file belongs to a package',
  needs('dpkg'),
  () => {
    const { text, digests } = exported('spdx');
    const schema = path.join(PROJECT, 'fixtures/spdx/document.schema.json');
    const ajv = new Ajv({ allErrors: true, strict: false });
    addFormats.default(ajv);
    const validate = ajv.compile(JSON.parse(readFileSync(schema, 'utf8')));
    const document: Spdx = JSON.parse(text);
    assert.ok(validate(document), JSON.stringify(validate.errors));
    assert.ok(!validate({ ...document, dataLicense: 'MIT' }));

    const ids = [
      'SPDXRef-DOCUMENT',
      ...[...document.packages, ...document.files].map((one) => one.SPDXID),
    ];
    assert.equal(new Set(ids).size, ids.length);
    for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
      assert.ok(ids.includes(spdxElementId) && ids.includes(relatedSpdxElement));
    }
    assert.deepEqual(
      new Map(
        document.files.map(({ fileName, checksums }) => [
          fileName.slice(1),
          checksums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue,
        ]),
      ),
      digests,
    );
    const containers = (id: string) =>
      document.relationships.filter(
        (one) => one.relationshipType === 'CONTAINS' && one.relatedSpdxElement === id,
      );
    for (const { SPDXID, fileName } of document.files) {
      assert.equal(containers(SPDXID).length, 1, fileName);
    }
  },
);

test('the same files give the same documents, with an identifier computed from the content', () => {
  for (const format of ['cyclonedx', 'spdx']) {
    const [one, two] = [exported(format).text, exported(format).text];
    assert.equal(one, two);
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000' };
    const { stdout } = jailbuild(['x', 'bash', 'ls', '--dry-run', '--sbom', format], { env });
    assert.match(stdout, /2001-09-09T01:46:40Z/);
    const id = (text: string) => /urn:uuid:([0-9a-f-]{36})/.exec(text)?.[1];
    assert.notEqual(id(stdout), id(one));
    assert.match(id(one) ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  }
});

test(
  'a build writes the document beside the jail, and a jail knows its packages from its record',
  needs('dpkg'),
  () => {
    const directory = tempDir();
    const root = path.join(directory, 'jail');
    const built = jailbuild([root, 'bash', '-q', '--sbom', 'cyclonedx']);
    assert.equal(built.status, 0, built.stderr);
    const ofBuild = readFileSync(`${root}.cdx.json`, 'utf8');
    const file = path.join(directory, 'export.cdx.json');
    const to = ['--to', `tar:${directory}/x.tar`, '--sbom', 'cyclonedx', '--sbom-file', file];
    assert.equal(jailbuild(['export', root, ...to]).status, 0);
    const names = (text: string) =>
      (JSON.parse(text) as CycloneDx).components.map(({ purl, name }) => purl ?? name);
    assert.ok(names(ofBuild).some((name) => name.startsWith('pkg:deb/debian/libc6@')));
    assert.deepEqual(names(readFileSync(file, 'utf8')), names(ofBuild));
  },
);

test('usage errors are reported', () => {
  fails('USAGE', /--json|--sbom-file/, [
    'export',
    'ls',
    '--to',
    'tar:-',
    '--sbom',
    'spdx',
    '--json',
  ]);
  fails('USAGE', /--sbom-file requires --sbom/, [
    'export',
    'ls',
    '--to',
    'tar:x',
    '--sbom-file',
    'y',
  ]);
});
