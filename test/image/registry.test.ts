import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const env = { ...process.env, XDG_CACHE_HOME: path.join(directory, 'cache') };

test(
  'an image is pushed to a registry and read from it',
  needs('docker-registry', 'skopeo'),
  async () => {
    const registry = await startRegistry(path.join(directory, 'registry'));
    try {
      const image = `docker://${registry.address}/some/tools:v1`;
      const push = [
        'export',
        'ls',
        'cat',
        '--to',
        image,
        '--json',
        '--tls-verify=false',
        '--',
        '/bin/ls',
      ];
      const pushed = jailbuild(push, { env });
      assert.equal(pushed.status, 0, pushed.stderr);
      const inspected = JSON.parse(succeed('skopeo', ['inspect', '--tls-verify=false', image]));
      assert.equal(inspected.Digest, JSON.parse(pushed.stdout).digest);
      assert.equal(jailbuild(push, { env }).stdout, pushed.stdout);
      const pull = (from: string, ...options: readonly string[]) => {
        const to = `tar:${directory}/slim.tar`;
        return jailbuild(['export', '--from-image', from, '--to', to, ...options], { env });
      };
      const read = pull(image, '--tls-verify=false');
      assert.equal(read.status, 0, read.stderr);
      const members = succeed('tar', ['-tf', path.join(directory, 'slim.tar')]);
      assert.match(members, /bin\/ls$/m);
      assert.doesNotMatch(members, /bin\/cat$/m);
      const plain = pull(image);
      assert.equal(plain.status, 1);
      assert.match(plain.stderr, /does not speak TLS: give --tls-verify=false/);
      assert.match(pull(image.replace('v1', 'v2'), '--tls-verify=false').stderr, /has no image v2/);
    } finally {
      await registry.stop();
    }
  },
);
