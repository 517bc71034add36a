import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startJailbuild } from '../support/cli.js';
import { startFront } from '../support/http-front.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const env = { ...process.env, HOME: at('home'), XDG_CACHE_HOME: at('cache') };
const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker.distribution.manifest';
const ZEROS = `sha256:${'0'.repeat(64)}`;

const descriptor = (mediaType: string, digest = ZEROS) => ({ mediaType, digest, size: 2 });
const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const config = JSON.stringify({
  os: 'linux',
  architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
  config: { Cmd: ['ls'] },
  rootfs: { type: 'layers', diff_ids: [ZEROS] },
});
const manifest = (layer: string) => ({
  schemaVersion: 2,
  mediaType: `${OCI}.manifest.v1+json`,
  config: { ...descriptor(`${OCI}.config.v1+json`, digestOf(config)), size: config.length },
  layers: [descriptor(layer)],
});

/** The manifest that a registry sends for the tag, and the expected message. */
const CASES: readonly (readonly [name: string, message: RegExp, type: string, body: string])[] = [
  [
    'a manifest of schema 1',
    /app: has a manifest of schema 1, which is not supported: push it again$/m,
    `${DOCKER}.v1+prettyjws`,
    JSON.stringify({ schemaVersion: 1, name: 'app', tag: 'v1', fsLayers: [] }),
  ],
  [
    'a list of other platforms',
    /app: has no image for linux\/\w+, but for linux\/sparc64: name one with --platform$/m,
    `${DOCKER}.list.v2+json`,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${DOCKER}.list.v2+json`,
      manifests: [
        {
          ...descriptor(`${DOCKER}.v2+json`),
          platform: { os: 'linux', architecture: 'sparc64' },
        },
      ],
    }),
  ],
  [
    'a manifest of an unknown type',
    /app: has a manifest of type application\/vnd\.example\.unknown\+json$/m,
    'application/vnd.example.unknown+json',
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.example.unknown+json' }),
  ],
  [
    'a layer of an unknown type',
    /app: has a layer of type application\/vnd\.example\.layer, which is not supported$/m,
    `${OCI}.manifest.v1+json`,
    JSON.stringify(manifest('application/vnd.example.layer')),
  ],
  [
    'a missing layer',
    /app: has no blob sha256:0{64}$/m,
    `${OCI}.manifest.v1+json`,
    JSON.stringify(manifest(`${OCI}.layer.v1.tar`)),
  ],
  [
    'a manifest that is not JSON',
    /app: has text instead of a JSON document$/m,
    `${OCI}.manifest.v1+json`,
    '{"schemaVersion": 2,',
  ],
  ['a list', /app: has a manifest without a configuration$/m, `${OCI}.manifest.v1+json`, '[]'],
];

for (const [name, message, type, body] of CASES) {
  test(`${name} is reported in one line, and no files are left`, async () => {
    const front = await startFront(({ url = '' }, response) => {
      if (url.endsWith('/manifests/v1')) {
        response.writeHead(200, { 'content-type': type }).end(body);
        return true;
      }
      if (!url.endsWith(digestOf(config))) return false;
      response.writeHead(200).end(config);
      return true;
    });
    try {
      const from = ['export', '--from-image', `docker://${front.address}/app:v1`];
      const args = [...from, '--to', `oci:${at('out')}`, '--tls-verify=false'];
      const { status, stdout, stderr } = await startJailbuild(args, { env }).finished;
      assert.equal(status, 1, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /^jailbuild: [^\n]+\n$/);
      assert.match(stderr, message);
      assert.ok(!existsSync(at('out')));
      const images = at('cache/jailbuild/images');
      assert.deepEqual(existsSync(images) ? readdirSync(images) : [], []);
    } finally {
      await front.stop();
    }
  });
}

test('a download redirected to another host is requested without credentials', async () => {
  const stranger = await startFront(() => false);
  const secret = 'open-sesame-4711';
  const front = await startFront(({ url = '', headers }, response) => {
    if (headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="tests"' }).end();
    } else if (url.endsWith('/manifests/v1')) {
      const type = `${OCI}.manifest.v1+json`;
      const text = JSON.stringify(manifest(`${OCI}.layer.v1.tar`));
      response.writeHead(200, { 'content-type': type }).end(text);
    } else {
      response.writeHead(307, { location: `http://${stranger.address}/blob` }).end();
    }
    return true;
  });
  try {
    const auth = Buffer.from(`somebody:${secret}`).toString('base64');
    writeFileSync(at('auth.json'), JSON.stringify({ auths: { [front.address]: { auth } } }));
    const image = `docker://${front.address}/app:v1`;
    const args = ['tree', 'ls', '--sysroot', image, '--auth-file', at('auth.json')];
    const { status, stderr } = await startJailbuild([...args, '--tls-verify=false'], { env })
      .finished;
    assert.equal(status, 1);
    assert.match(stderr, /^jailbuild: [^\n]+\n$/);
    assert.ok(!stderr.includes(secret) && !stderr.includes(auth));
    assert.ok(stranger.asked.length > 0);
    for (const { headers } of stranger.asked) assert.equal(headers.authorization, undefined);
  } finally {
    await Promise.all([front.stop(), stranger.stop()]);
  }
});
