import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { proxyFor } from '../../src/image/registry/proxy.js';
import { makeCertificate } from '../support/certificate.js';
import { type Finished, startJailbuild, succeed } from '../support/cli.js';
import { type HttpProxy, startProxy } from '../support/http-proxy.js';
import { needs, onPath } from '../support/need.js';
import { type Registry, startRegistry } from '../support/registry.js';
import { freePort } from '../support/server.js';
import { tempDir } from '../support/temp-dir.js';

const USER = 'somebody';
const PASSWORD = 'open:sesame 4711';
const AUTHORIZATION = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
const needsRegistry = needs('docker-registry', 'skopeo', 'openssl');

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
/** Environment without the caller's proxies, credentials and caches. */
const bare: NodeJS.ProcessEnv = { ...process.env, HOME: at('home'), XDG_CACHE_HOME: at('cache') };
for (const name of ['REGISTRY_AUTH_FILE', 'HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']) {
  delete bare[name];
  delete bare[name.toLowerCase()];
}

let encrypted: Registry | undefined;
let plain: Registry | undefined;
let proxy: HttpProxy;
/** The proxy's answer instead of a forwarded request. */
let refusal: number | undefined;

before(async () => {
  proxy = await startProxy(({ headers }) =>
    headers['proxy-authorization'] === AUTHORIZATION ? refusal : 407,
  );
  if (!onPath('docker-registry') || !onPath('openssl')) return;
  makeCertificate('DNS:registry.test', at('ca.pem'), at('key.pem'));
  encrypted = await startRegistry(at('encrypted'), {
    certificate: at('ca.pem'),
    key: at('key.pem'),
  });
  plain = await startRegistry(at('plain'));
});
after(() => Promise.all([encrypted?.stop(), plain?.stop(), proxy.stop()]));

function proxyUrl(user = USER, password = PASSWORD): string {
  return `http://${user}:${encodeURIComponent(password)}@${proxy.address}`;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Finished> {
  return startJailbuild(args, { env: { ...bare, ...env } }).finished;
}

/** Checks for one line of error without the password or an encoded form of it. */
function checkFailure({ status, stdout, stderr }: Finished, message: RegExp): void {
  assert.equal(status, 1, stderr);
  assert.equal(stdout, '');
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  assert.match(stderr, message);
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), AUTHORIZATION.slice(6)]) {
    assert.ok(!stderr.includes(secret), 'a secret was printed');
  }
}

test('a registry behind a proxy is reached through a tunnel', needsRegistry, async () => {
  const name = `registry.test:${encrypted?.port}`;
  const image = `docker://${name}/app:1`;
  const options = ['--registry-ca', at('ca.pem')];
  const env = { HTTPS_PROXY: proxyUrl() };
  const before = proxy.asked.length;
  const pushed = await run(['export', 'ls', '--to', image, '--json', ...options], env);
  assert.equal(pushed.status, 0, pushed.stderr);
  const direct = ['inspect', '--tls-verify=false', `docker://127.0.0.1:${encrypted?.port}/app:1`];
  assert.equal(JSON.parse(succeed('skopeo', direct)).Digest, JSON.parse(pushed.stdout).digest);
  const tunnels = proxy.asked.slice(before);
  assert.ok(tunnels.length > 0);
  for (const { method, url, headers } of tunnels) {
    assert.deepEqual([method, url, headers.host], ['CONNECT', name, name]);
    assert.equal(headers.authorization, undefined);
  }
  const read = ['tree', 'ls', '--sysroot', image, ...options];
  const found = await run(read, { https_proxy: proxyUrl() });
  assert.equal(found.status, 0, found.stderr);
});

test('plain HTTP requests are forwarded by a proxy', needsRegistry, async () => {
  const image = `docker://registry.test:${plain?.port}/app:1`;
  // TLS is tried first and fails.
  const env = { HTTPS_PROXY: proxyUrl(), HTTP_PROXY: proxyUrl() };
  const args = ['export', 'ls', '--to', image, '--json', '--tls-verify=false'];
  const pushed = await run(args, env);
  assert.equal(pushed.status, 0, pushed.stderr);
  const direct = ['inspect', '--tls-verify=false', `docker://${plain?.address}/app:1`];
  assert.equal(JSON.parse(succeed('skopeo', direct)).Digest, JSON.parse(pushed.stdout).digest);
  const forwarded = proxy.asked.filter(({ url }) => url.startsWith(`http://registry.test:`));
  assert.ok(forwarded.some(({ method, url }) => method === 'PUT' && url.includes('/manifests/1')));
});

test('a proxy that speaks TLS is used with an authority of its own', needsRegistry, async () => {
  makeCertificate('IP:127.0.0.1', at('proxy.pem'), at('proxy-key.pem'));
  const [cert, key] = [readFileSync(at('proxy.pem')), readFileSync(at('proxy-key.pem'))];
  const secure = await startProxy(
    ({ headers }) => (headers['proxy-authorization'] === AUTHORIZATION ? undefined : 407),
    { cert, key },
  );
  try {
    const url = `https://${USER}:${encodeURIComponent(PASSWORD)}@${secure.address}`;
    const push = async (registry: Registry | undefined, ...options: readonly string[]) => {
      const image = `docker://registry.test:${registry?.port}/secure:1`;
      const words = ['export', 'ls', '--to', image, '--json', ...options];
      const pushed = await run(words, { HTTPS_PROXY: url, HTTP_PROXY: url });
      assert.equal(pushed.status, 0, pushed.stderr);
      const direct = `docker://${registry?.address}/secure:1`;
      const found = JSON.parse(succeed('skopeo', ['inspect', '--tls-verify=false', direct]));
      assert.equal(found.Digest, JSON.parse(pushed.stdout).digest);
    };
    writeFileSync(at('both.pem'), Buffer.concat([cert, readFileSync(at('ca.pem'))]));
    await push(encrypted, '--registry-ca', at('both.pem'));
    assert.ok(secure.asked.length > 0);
    assert.ok(secure.asked.every(({ method }) => method === 'CONNECT'));
    await push(plain, '--tls-verify=false');
    assert.ok(secure.asked.some(({ url: asked }) => asked.startsWith('http://registry.test:')));
    const args = ['tree', 'ls', '--sysroot', `docker://registry.test:${encrypted?.port}/secure:1`];
    // The authority of the registry is not that of the proxy.
    checkFailure(
      await run([...args, '--registry-ca', at('ca.pem')], { HTTPS_PROXY: url }),
      new RegExp(`the proxy https://${secure.address} has a certificate that is not trusted \\(`),
    );
    const spoken = `https://${proxy.address}`;
    checkFailure(
      await run([...args, '--tls-verify=false'], { HTTPS_PROXY: spoken }),
      new RegExp(`the proxy ${spoken} does not speak TLS: give http:// in its URL`),
    );
  } finally {
    await secure.stop();
  }
});

test('errors name the proxy without its password', async () => {
  const args = ['tree', 'ls', '--sysroot', 'docker://registry.test/app:1'];
  const from = async (url: string) => run(args, { HTTPS_PROXY: url });
  const origin = proxy.address.replaceAll('.', '\\.');
  checkFailure(
    await from(`http://${proxy.address}`),
    new RegExp(
      `registry\\.test/app: .*the proxy http://${origin} wants a user and a password \\(407\\)`,
    ),
  );
  checkFailure(
    await from(proxyUrl(USER, 'wrong')),
    /refuses the user and password of its URL \(407\)/,
  );
  refusal = 403;
  checkFailure(
    await from(proxyUrl()),
    new RegExp(`the proxy http://${origin} answers 403 for registry\\.test:443`),
  );
  refusal = undefined;
  const port = await freePort();
  checkFailure(
    await from(`http://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`),
    new RegExp(`the proxy http://127\\.0\\.0\\.1:${port}: connect ECONNREFUSED`),
  );
  for (const url of [`socks5://u:${PASSWORD}@host`, `http://u:${PASSWORD}@host:99999`]) {
    checkFailureOfUse(await from(url));
  }
});

function checkFailureOfUse({ status, stderr }: Finished): void {
  assert.equal(status, 2, stderr);
  assert.match(stderr, /HTTPS_PROXY is not the URL of an HTTP proxy: give http:\/\/HOST:PORT/);
  assert.ok(!stderr.includes(PASSWORD));
}

test('proxies are chosen as skopeo chooses them', () => {
  const choose = (url: string, environment: NodeJS.ProcessEnv) =>
    proxyFor(new URL(url), environment)?.url.href;
  const both = { HTTPS_PROXY: 'secure:1', http_proxy: 'https://plain:2' };
  assert.equal(choose('https://host/', both), 'http://secure:1/');
  assert.equal(choose('http://host/', both), 'https://plain:2/');
  assert.equal(choose('https://host/', {}), undefined);
  assert.equal(
    choose('https://host/', { HTTPS_PROXY: '', https_proxy: 'lower:3' }),
    'http://lower:3/',
  );
  for (const host of ['localhost', '127.0.0.1:5000', '127.9.9.9', '[::1]:5000']) {
    assert.equal(choose(`https://${host}/`, both), undefined, host);
  }
  const cases: readonly (readonly [host: string, list: string, isProxied: boolean])[] = [
    ['example.org', '*', false],
    ['example.org', 'other.org, example.org', false],
    ['a.example.org', 'example.org', false],
    ['aexample.org', 'example.org', true],
    ['example.org', '.example.org', true],
    ['a.example.org', '.example.org', false],
    ['a.example.org', '*.Example.org', false],
    ['example.org:5000', 'example.org:5000', false],
    ['example.org', 'example.org:5000', true],
    ['example.org', 'example.org:443', false],
    ['10.1.2.3', '10.0.0.0/8', false],
    ['11.1.2.3', '10.0.0.0/8', true],
    ['10.1.2.3:5000', '10.1.2.3', false],
    ['10.1.2.3', '10.1.2.3:5000', true],
    ['[fd00::5]:5000', 'fd00::/16', false],
    ['[fd00::5]:5000', '[fd00::5]:5000', false],
    ['[fd00::5]', 'fd00::5', false],
    ['[fe00::5]', 'fd00::/16', true],
    ['example.org', '10.0.0.0/99,,', true],
  ];
  for (const [host, list, isProxied] of cases) {
    const chosen = choose(`https://${host}/`, { HTTPS_PROXY: 'proxy', no_proxy: list });
    assert.equal(chosen !== undefined, isProxied, `${host} with ${list}`);
  }
  const secret = proxyFor(new URL('https://host/'), { HTTPS_PROXY: 'http://a%40b:c%3Ad@proxy:8' });
  assert.equal(secret?.url.href, 'http://proxy:8/');
  assert.equal(secret?.authorization, `Basic ${Buffer.from('a@b:c:d').toString('base64')}`);
});
