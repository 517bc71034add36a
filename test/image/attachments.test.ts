import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, scryptSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import nacl from 'tweetnacl';
import { exec, jailbuild, startJailbuild, succeed } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { startFront } from '../support/http-front.js';
import { needs, onPath } from '../support/need.js';
import { type Registry, startRegistry } from '../support/registry.js';
import { makePackagedSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const env: NodeJS.ProcessEnv = { ...process.env, XDG_CACHE_HOME: at('cache') };
delete env.COSIGN_PASSWORD;
/** The skopeo of Debian 12 is built without sigstore: `.ci/skopeo` installs a later one. */
const SKOPEO = process.env.JAILBUILD_TEST_SKOPEO ?? 'skopeo';
const needsRegistry = needs('docker-registry', 'skopeo');
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const TYPES = ['application/vnd.cyclonedx+json', 'application/vnd.in-toto+json'];

let registry: Registry | undefined;
before(async () => {
  if (onPath('docker-registry')) registry = await startRegistry(at('registry'));
});
after(() => registry?.stop());

interface Listed {
  readonly artifactType?: string;
  readonly digest: string;
  readonly mediaType: string;
}

const sha256 = (content: string | Buffer) =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

async function get(url: string): Promise<string> {
  const answer = await fetch(url, { headers: { accept: `${MANIFEST}, ${INDEX}` } });
  assert.equal(answer.status, 200, url);
  return answer.text();
}

/** Checks the referrers of an image: types, subject, and the documents themselves. */
async function checkReferrers(
  listed: readonly Listed[],
  image: string,
  read: (digest: string, kind: 'manifests' | 'blobs') => Promise<string> | string,
): Promise<void> {
  assert.deepEqual(listed.map(({ artifactType }) => artifactType).sort(), TYPES);
  for (const { digest, artifactType } of listed) {
    const text = await read(digest, 'manifests');
    assert.equal(sha256(text), digest);
    const manifest = JSON.parse(text);
    assert.equal(manifest.artifactType, artifactType);
    assert.equal(manifest.subject.digest, image);
    assert.equal(manifest.subject.mediaType, MANIFEST);
    const [layer] = manifest.layers;
    const document = await read(layer.digest, 'blobs');
    assert.equal(sha256(document), layer.digest);
    const value = JSON.parse(document);
    if (artifactType === TYPES[0]) assert.equal(value.bomFormat, 'CycloneDX');
    else checkProvenance(value, image);
  }
}

function checkProvenance(statement: Readonly<Record<string, unknown>>, image: string): void {
  assert.equal(statement._type, 'https://in-toto.io/Statement/v1');
  assert.equal(statement.predicateType, 'https://slsa.dev/provenance/v1');
  const [subject] = statement.subject as { digest: { sha256: string } }[];
  assert.equal(`sha256:${subject?.digest.sha256}`, image);
  const { buildDefinition, runDetails } = statement.predicate as {
    buildDefinition: {
      externalParameters: { command: string[] };
      resolvedDependencies: { uri: string; digest: { sha256: string } }[];
    };
    runDetails: { builder: { version: object } };
  };
  assert.deepEqual(buildDefinition.externalParameters.command.slice(0, 2), ['export', 'ls']);
  const inputs = buildDefinition.resolvedDependencies;
  assert.ok(inputs.some(({ uri }) => uri.endsWith('/libc.so.6')));
  for (const { uri, digest } of inputs) {
    const file = decodeURIComponent(new URL(uri).pathname);
    assert.equal(sha256(readFileSync(file)), `sha256:${digest.sha256}`, uri);
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.deepEqual(runDetails.builder.version, { jailbuild: version });
}

const sysroot = makePackagedSysroot(directory, 'ls');
const LS = ['export', 'ls', '--sysroot', sysroot];
const ATTACHED = [...LS, '--sbom', 'cyclonedx', '--provenance', '--json'];

test(
  'a layout stores a bill of materials and provenance as referrers',
  needs('skopeo'),
  async () => {
    const to = ['--to', `oci:${at('layout')}:v1`, '--attach'];
    const made = jailbuild([...ATTACHED, ...to], { env });
    assert.equal(made.status, 0, made.stderr);
    const { digest, referrers } = JSON.parse(made.stdout);
    assert.equal(referrers.length, 2);
    const read = (of: string) => readFileSync(at('layout/blobs', of.replace(':', '/')), 'utf8');
    const index = JSON.parse(readFileSync(at('layout/index.json'), 'utf8'));
    const listed = index.manifests.filter(({ artifactType }: Listed) => artifactType !== undefined);
    await checkReferrers(listed, digest, read);
    // The image is the same without them, and can still be read.
    const plain = jailbuild([...LS, '--to', `oci:${at('plain')}:v1`, '--json'], { env });
    assert.equal(JSON.parse(plain.stdout).digest, digest);
    const inspected = JSON.parse(succeed('skopeo', ['inspect', `oci:${at('layout')}:v1`]));
    assert.equal(inspected.Digest, digest);
    assert.equal(jailbuild([...ATTACHED, ...to], { env }).stdout, made.stdout);
    assert.equal(readFileSync(at('layout/index.json'), 'utf8'), `${JSON.stringify(index)}`);
    const slim = ['export', '--from-image', `oci:${at('layout')}`, '--to', `tar:${at('x.tar')}`];
    const again = jailbuild(slim, { env });
    assert.equal(again.status, 0, again.stderr);
  },
);

test('a registry without the referrers API stores them under a tag', needsRegistry, async () => {
  assert.ok(registry);
  const base = `http://${registry.address}/v2/attached`;
  const to = ['--to', `docker://${registry.address}/attached:v1`, '--tls-verify=false'];
  for (let round = 0; round < 2; round++) {
    const made = jailbuild([...ATTACHED, ...to], { env });
    assert.equal(made.status, 0, made.stderr);
    const { digest } = JSON.parse(made.stdout);
    const index = JSON.parse(await get(`${base}/manifests/${digest.replace(':', '-')}`));
    assert.equal(index.mediaType, INDEX);
    await checkReferrers(index.manifests, digest, (of, kind) => get(`${base}/${kind}/${of}`));
  }
});

test('a registry with the referrers API lists them', needsRegistry, async () => {
  assert.ok(registry);
  const referrers = new Map<string, Listed[]>();
  // Adds the API to a registry that lacks it (OCI distribution spec 1.1, "Listing Referrers").
  const front = await startFront(async (request, response) => {
    const { method, url = '' } = request;
    const asked = /\/referrers\/(.+)$/.exec(url)?.[1];
    if (asked !== undefined) {
      const body = { schemaVersion: 2, mediaType: INDEX, manifests: referrers.get(asked) ?? [] };
      response.writeHead(200, { 'content-type': INDEX }).end(JSON.stringify(body));
      return true;
    }
    if (method !== 'PUT' || !url.includes('/manifests/')) return false;
    const body = await bodyOf(request);
    const { subject, artifactType, mediaType } = JSON.parse(body.toString());
    const answer = await fetch(`http://127.0.0.1:${registry?.port}${url}`, {
      method,
      body,
      headers: { 'content-type': String(request.headers['content-type']) },
    });
    if (subject !== undefined) {
      const known = referrers.get(subject.digest) ?? [];
      referrers.set(subject.digest, [...known, { artifactType, mediaType, digest: sha256(body) }]);
      response.setHeader('oci-subject', subject.digest);
    }
    response.writeHead(answer.status).end();
    return true;
  }, registry.port);
  try {
    const to = ['--to', `docker://${front.address}/listed:v1`, '--tls-verify=false'];
    const made = await startJailbuild([...ATTACHED, ...to], { env }).finished;
    assert.equal(made.status, 0, made.stderr);
    const { digest } = JSON.parse(made.stdout);
    const base = `http://${front.address}/v2/listed`;
    const listed = JSON.parse(await get(`${base}/referrers/${digest}`)).manifests;
    await checkReferrers(listed, digest, (of, kind) => get(`${base}/${kind}/${of}`));
    const tag = digest.replace(':', '-');
    assert.ok(front.asked.every(({ url }) => !url.endsWith(`/manifests/${tag}`)));
  } finally {
    await front.stop();
  }
});

async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Key pairs in the accepted formats, by the private key's file, with their public keys. */
function makeKeys(): Readonly<Record<string, { readonly key: string; readonly pub: string }>> {
  mkdirSync(at('keys'), { recursive: true });
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const save = (name: string, pem: string | Buffer, publicKey: string | Buffer) => {
    writeFileSync(at('keys', `${name}.key`), pem);
    writeFileSync(at('keys', `${name}.pub`), publicKey);
    return { key: at('keys', `${name}.key`), pub: at('keys', `${name}.pub`) };
  };
  const spki = { format: 'pem', type: 'spki' } as const;
  const plain = pair();
  const locked = pair();
  const cosign = pair();
  const cipher = { cipher: 'aes-256-cbc', passphrase: 'unlock' } as const;
  const pkcs8 = { format: 'pem', type: 'pkcs8' } as const;
  const der = cosign.privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    plain: save('plain', plain.privateKey.export(pkcs8), plain.publicKey.export(spki)),
    locked: save(
      'locked',
      locked.privateKey.export({ ...pkcs8, ...cipher }),
      locked.publicKey.export(spki),
    ),
    cosign: save('cosign', cosignKey(der, 'unlock'), cosign.publicKey.export(spki)),
  };
}

/** Encrypts a key as `cosign generate-key-pair` does: scrypt and NaCl's secret box. */
function cosignKey(der: Buffer, passphrase: string): string {
  const params = { N: 32768, r: 8, p: 1 };
  const [salt, nonce] = [randomBytes(32), randomBytes(24)];
  const secret = scryptSync(passphrase, salt, 32, { ...params, maxmem: 1 << 28 });
  const value = {
    kdf: { name: 'scrypt', params, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(nacl.secretbox(der, nonce, secret)).toString('base64'),
  };
  const body = Buffer.from(JSON.stringify(value)).toString('base64').replace(/.{64}/g, '$&\n');
  const label = 'ENCRYPTED COSIGN PRIVATE KEY';
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

test('policies of skopeo accept signed images and refuse others', needsRegistry, (t) => {
  assert.ok(registry);
  const { address } = registry;
  const keys = makeKeys();
  mkdirSync(at('registries.d'));
  writeFileSync(
    at('registries.d/all.yaml'),
    `docker:\n  ${address}:\n    use-sigstore-attachments: true\n`,
  );
  writeFileSync(at('passphrase'), 'unlock\n');
  const policyFor = (pub: string): string => {
    const requirement = { type: 'sigstoreSigned', keyPath: pub };
    const policy = {
      default: [{ type: 'reject' }],
      transports: { docker: { [address]: [requirement] } },
    };
    writeFileSync(at('policy.json'), JSON.stringify(policy));
    return at('policy.json');
  };
  const copy = (repository: string, pub: string) =>
    exec(SKOPEO, [
      ...['--policy', policyFor(pub), '--registries.d', at('registries.d')],
      ...['copy', '--quiet', '--src-tls-verify=false', `docker://${address}/${repository}:v1`],
      `dir:${at(`copy-${repository}`)}`,
    ]);
  const push = (repository: string, ...options: readonly string[]) => {
    const to = `docker://${address}/${repository}:v1`;
    return jailbuild(['export', 'ls', '--to', to, '--tls-verify=false', '--json', ...options], {
      env,
    });
  };
  const passphrase = ['--sign-passphrase-file', at('passphrase')];
  for (const [name, { key, pub }] of Object.entries(keys)) {
    const unsigned = push(name);
    assert.equal(unsigned.status, 0, unsigned.stderr);
    const refused = copy(name, pub);
    assert.notEqual(refused.status, 0, `${name}: an unsigned image is accepted`);
    assert.match(refused.stderr, /signature was required, but no signature exists/);
    const options = ['--sign-key', key, ...(name === 'plain' ? [] : passphrase)];
    const signed = push(name, ...options);
    assert.equal(signed.status, 0, signed.stderr);
    assert.equal(JSON.parse(signed.stdout).digest, JSON.parse(unsigned.stdout).digest);
    const accepted = copy(name, pub);
    if (accepted.stderr.includes('sigstore disabled')) {
      t.skip('needs a skopeo with sigstore in JAILBUILD_TEST_SKOPEO: see .ci/skopeo');
      return;
    }
    assert.equal(accepted.status, 0, accepted.stderr);
    const other = Object.values(keys).find((one) => one.pub !== pub);
    assert.notEqual(
      copy(name, other?.pub ?? '').status,
      0,
      'a signature of another key is accepted',
    );
  }
  // A second key is added; the first signature stays, and is not made again.
  const both = push('plain', '--sign-key', keys.locked?.key ?? '', ...passphrase);
  assert.equal(both.status, 0, both.stderr);
  for (const key of [keys.plain, keys.locked])
    assert.equal(copy('plain', key?.pub ?? '').status, 0);
  const tag = JSON.parse(both.stdout).digest.replace(':', '-');
  const signatures = [
    'inspect',
    '--raw',
    '--tls-verify=false',
    `docker://${address}/plain:${tag}.sig`,
  ];
  assert.equal(JSON.parse(succeed('skopeo', signatures)).layers.length, 2);
  push('plain', '--sign-key', keys.plain?.key ?? '');
  assert.equal(JSON.parse(succeed('skopeo', signatures)).layers.length, 2);
  // Signatures that skopeo makes with the same key are accepted as well.
  const key = ['--sign-by-sigstore-private-key', keys.cosign?.key ?? '', ...passphrase];
  const own = [
    '--registries.d',
    at('registries.d'),
    'copy',
    '--quiet',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    ...key,
  ];
  succeed(SKOPEO, [
    '--insecure-policy',
    ...own,
    `docker://${address}/locked:v1`,
    `docker://${address}/resigned:v1`,
  ]);
  assert.equal(copy('resigned', keys.cosign?.pub ?? '').status, 0);
  for (const [why, ...options] of [
    [/its passphrase is another one/, '--sign-key', keys.locked?.key ?? ''],
    [/its passphrase is another one/, '--sign-key', keys.cosign?.key ?? ''],
    [/is no private key in PEM form/, '--sign-key', keys.plain?.pub ?? ''],
    [/no such file/i, '--sign-key', at('keys/none')],
  ] as const) {
    const failed = push('never', ...options);
    assert.notEqual(failed.status, 0);
    assert.match(failed.stderr, why);
    assert.equal(failed.stdout.includes('"ok"'), false);
  }
});

test('an attachment or signature that is impossible is refused', () => {
  for (const [message, ...args] of [
    [
      /--provenance needs oci, oci-archive or docker/,
      '--to',
      `tar:${at('no.tar')}`,
      '--provenance',
    ],
    [/--attach requires --sbom/, '--to', `oci:${at('no')}`, '--attach'],
    [/--sign-key signs what is pushed/, '--to', `oci:${at('no')}`, '--sign-key', at('key')],
    [
      /--sign-passphrase-file requires --sign-key/,
      '--to',
      `oci:${at('no')}`,
      '--sign-passphrase-file',
      'x',
    ],
  ] as const) {
    fails('USAGE', message, ['export', 'ls', ...args], { env });
  }
});
