import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { makeCertificate } from '../support/certificate.js';
import { JAILBUILD, succeed } from '../support/cli.js';
import { needs, onPath } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const asked: (string | undefined)[] = [];
let server: https.Server | undefined;
let image = '';

before(async () => {
  if (!onPath('openssl')) return;
  for (const name of ['certs', 'authority']) mkdirSync(at(name));
  makeCertificate('IP:127.0.0.1', at('certs/ca.crt'), at('server.key'));
  makeCertificate('IP:127.0.0.1', at('certs/client.cert'), at('certs/client.key'));
  succeed('cp', [at('certs/ca.crt'), at('authority/ca.crt')]);
  const options = {
    cert: readFileSync(at('certs/ca.crt')),
    key: readFileSync(at('server.key')),
    ca: readFileSync(at('certs/client.cert')),
    requestCert: true,
  };
  server = https.createServer(options, ({ url, socket }, answer) => {
    asked.push(url);
    assert.equal((socket as import('node:tls').TLSSocket).authorized, true);
    answer.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  image = `docker://127.0.0.1:${(server.address() as AddressInfo).port}/app:1`;
});

after(() => server?.close());

function messageWith(certificates: string): Promise<string> {
  const args = ['tree', 'cat', '--sysroot', image, '--cert-dir', certificates];
  return new Promise((resolve) => {
    execFile(JAILBUILD, args, (_, __, stderr) => resolve(stderr));
  });
}

test('a client certificate in a directory is sent to the registry', needs('openssl'), async () => {
  assert.match(
    await messageWith(at('certs')),
    /^jailbuild: docker:\/\/127\.0\.0\.1:\d+\/app: has no image 1\n$/,
  );
  assert.deepEqual(asked, ['/v2/app/manifests/1']);
  const refused = await messageWith(at('authority'));
  assert.match(refused, /^jailbuild: docker:\/\/127\.0\.0\.1:\d+\/app: [^\n]+\n$/);
  assert.doesNotMatch(refused, /has no image/);
  assert.deepEqual(asked, ['/v2/app/manifests/1']);
  assert.match(
    await messageWith(at('none')),
    /^jailbuild: \S+\/none: no such file or directory\n$/,
  );
});
