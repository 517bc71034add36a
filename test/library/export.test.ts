import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type ExportResult, exportPlatforms, JailbuildError } from '../../src/index.js';
import { jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { makePackagedSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const sysroot = makePackagedSysroot(directory, 'cat');
const source = { request: { programs: ['cat'], terminfo: 'none', sysroot } } as const;
const amd64 = { source, platform: 'linux/amd64' };
/** Its programs run on amd64. */
const also = { source, platform: 'linux/amd64/v3' };

function cli(...args: readonly string[]): string {
  const words = ['export', 'cat', '--terminfo', 'none', '--sysroot', sysroot];
  const { status, stdout, stderr } = jailbuild([...words, ...args]);
  assert.equal(status, 0, stderr);
  return stdout;
}

function taggedIn(layout: string): string {
  const { manifests } = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string; readonly annotations?: object }[];
  };
  return manifests.find(({ annotations }) => annotations !== undefined)?.digest ?? '';
}

test('platforms, destinations and attachments work as in the command', async () => {
  for (const name of ['lib', 'cli']) mkdirSync(at(name));
  const to = (name: string) => [
    `oci:${at(name, 'app')}:v1`,
    `oci-archive:${at(name, 'app.tar')}:v1`,
  ];
  const options = { sbom: 'cyclonedx', packageDatabase: 'auto' } as const;
  const results = await exportPlatforms([amd64], to('lib'), options);
  const targets = to('cli').flatMap((one) => ['--to', one]);
  const words = ['--sbom', 'cyclonedx', '--attach', '--package-database', 'auto', '--json'];
  const { outputs } = JSON.parse(cli(...targets, '--platform', 'linux/amd64', ...words));
  const known = ({ digest, format, referrers }: ExportResult) => ({ digest, format, referrers });
  assert.deepEqual(results.map(known), outputs.map(known));
  assert.equal(results[0]?.referrers?.[0]?.artifactType, 'application/vnd.cyclonedx+json');

  // Added to the first platform, one after the other and at once.
  await exportPlatforms([amd64], [`oci:${at('lib/two')}:v1`]);
  const [added] = await exportPlatforms([also], [`oci:${at('lib/two')}:v1`], { append: true });
  assert.equal(taggedIn(at('lib/two')), added?.digest);
  const [both] = await exportPlatforms([also, amd64], [`oci-archive:${at('lib/both.tar')}:v1`]);
  assert.equal(both?.index?.images.length, 2);
  assert.equal(both.digest, added?.digest);
  const stated = await exportPlatforms([amd64], [`oci:${at('lib/stated')}`], { provenance: true });
  const types = stated[0]?.referrers?.map(({ artifactType }) => artifactType);
  assert.deepEqual(types, ['application/vnd.in-toto+json']);
});

test('a pushed image can be signed', needs('docker-registry'), async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'pass',
  });
  writeFileSync(at('key.pem'), pem);
  const registry = await startRegistry(at('registry'));
  try {
    const to = `docker://${registry.address}/app:v1`;
    const access = { tlsVerify: false } as const;
    const [result] = await exportPlatforms([amd64], [to], {
      registry: access,
      signKey: { file: at('key.pem'), passphrase: 'pass' },
    });
    const url = `http://${registry.address}/v2/app`;
    const tag = `${result?.digest.replace(':', '-')}.sig`;
    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = (await (
      await fetch(`${url}/manifests/${tag}`, { headers: { accept } })
    ).json()) as {
      readonly layers: readonly {
        readonly digest: string;
        readonly annotations: Record<string, string>;
      }[];
    };
    const [layer] = manifest.layers;
    const payload = Buffer.from(await (await fetch(`${url}/blobs/${layer?.digest}`)).arrayBuffer());
    const signature = layer?.annotations['dev.cosignproject.cosign/signature'] ?? '';
    const key = createPublicKey(privateKey);
    assert.ok(verify('sha256', payload, key, Buffer.from(signature, 'base64')));
    assert.equal(
      JSON.parse(String(payload)).critical.image['docker-manifest-digest'],
      result?.digest,
    );
  } finally {
    await registry.stop();
  }
});

test('image options are refused if the destination is not an image', async () => {
  const refused = (expected: RegExp, ...args: Parameters<typeof exportPlatforms>) =>
    assert.rejects(exportPlatforms(...args), (error) => {
      assert.ok(error instanceof JailbuildError);
      assert.equal(error.code, 'USAGE');
      assert.match(error.message, expected);
      return true;
    });
  const tar = [`tar:${at('x.tar')}`];
  await refused(/sbom: does not apply to tar/, [{ source }], tar, { sbom: 'spdx' });
  await refused(/signKey: does not apply to oci/, [{ source }], [`oci:${at('x')}`], {
    signKey: { file: at('key.pem') },
  });
  await refused(/append: does not apply to oci-archive/, [{ source }], [`oci-archive:${at('x')}`], {
    append: true,
  });
  await refused(/holds one platform/, [amd64, also], tar);
  await refused(/at least one part and one destination/, [], tar);
  await refused(/at least one part and one destination/, [amd64], []);
});
