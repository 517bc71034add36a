import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  scryptSync,
  sign,
  verify,
} from 'node:crypto';
import { JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import { readTextFile } from '../fs/read-text.js';
import type { RegistryClient } from '../image/registry/client.js';
import { pushContent } from '../image/registry/push.js';
import { taggedList } from '../image/registry/tagged-list.js';
import { json, MANIFEST_TYPE } from './descriptor.js';

const PAYLOAD_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const SIGNATURE = 'dev.cosignproject.cosign/signature';
/** Cosign's format of a private key: scrypt and a NaCl secret box. */
const COSIGN_KEY = /^-----BEGIN ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY-----$/m;
/** Maximum size of a private key's file, in bytes. */
const MAX_KEY = 1 << 20;
/** Maximum memory for deriving a key, in bytes: cosign's parameters take 64 MiB. */
const MAX_MEMORY = 1 << 28;

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads a private key: PEM of PKCS #8 or SEC 1, encrypted or not, or the file of `cosign generate-key-pair`
 * and `skopeo generate-sigstore-key`.
 *
 * @throws JailbuildError NOT_READABLE, USAGE
 */
export async function readSigningKey(file: string, passphrase: string): Promise<KeyObject> {
  const text = readTextFile(file, MAX_KEY, `--sign-key ${file}`);
  let key: KeyObject;
  try {
    key = COSIGN_KEY.test(text)
      ? await openCosignKey(text, pathBuffer(passphrase))
      : createPrivateKey({ key: text, passphrase: pathBuffer(passphrase) });
  } catch {
    // The error does not reliably name the cause.
    const why = 'is no private key in PEM form, or its passphrase is another one';
    throw new JailbuildError(
      'USAGE',
      `--sign-key ${file}: ${why}: see --sign-passphrase-file`,
      file,
    );
  }
  if (key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'rsa') return key;
  const why = `is a key of type ${key.asymmetricKeyType}: give one of ECDSA or RSA`;
  throw new JailbuildError('USAGE', `--sign-key ${file}: ${why}`, file);
}

async function openCosignKey(text: string, passphrase: Buffer): Promise<KeyObject> {
  const body = text.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  const { kdf, cipher, ciphertext } = JSON.parse(Buffer.from(body, 'base64').toString()) as {
    readonly kdf: {
      readonly name: string;
      readonly params: { readonly N: number; readonly r: number; readonly p: number };
      readonly salt: string;
    };
    readonly cipher: { readonly name: string; readonly nonce: string };
    readonly ciphertext: string;
  };
  if (kdf.name !== 'scrypt' || cipher.name !== 'nacl/secretbox') throw new Error('unknown');
  const { N, r, p } = kdf.params;
  const secret = scryptSync(passphrase, Buffer.from(kdf.salt, 'base64'), 32, {
    ...{ N, r, p },
    maxmem: MAX_MEMORY,
  });
  const { default: nacl } = await import('tweetnacl');
  const opened = nacl.secretbox.open(
    Buffer.from(ciphertext, 'base64'),
    Buffer.from(cipher.nonce, 'base64'),
    secret,
  );
  if (opened === null) throw new Error('another passphrase');
  return createPrivateKey({ key: Buffer.from(opened), format: 'der', type: 'pkcs8' });
}

/**
 * Signs images of a repository as cosign does: the signature is an image under a tag made of the digest
 * (sigstore/cosign, specs/SIGNATURE_SPEC.md), which policies of containers-policy.json(5) accept as
 * `sigstoreSigned`. An existing signature by the same key is kept.
 *
 * @param digests of manifests and indexes
 * @throws JailbuildError REGISTRY_FAILED
 */
export async function signImages(
  client: RegistryClient,
  digests: readonly string[],
  key: KeyObject,
): Promise<void> {
  const { host, repository, tag } = client.name;
  const reference = `${host}/${repository}${tag === undefined ? '' : `:${tag}`}`;
  for (const digest of digests) {
    const payload = payloadOf(reference, digest);
    const tagged = `${digest.replace(':', '-')}.sig`;
    const known = await taggedList<Layer>(client, tagged, MANIFEST_TYPE, 'layers', 'signatures');
    if (known.some((layer) => isBy(key, layer, payload))) continue;
    const signature = sign('sha256', payload, key).toString('base64');
    const own = {
      mediaType: PAYLOAD_TYPE,
      ...blobOf(payload),
      annotations: { [SIGNATURE]: signature },
    };
    const layers = [...known, own];
    const config = json({
      architecture: '',
      created: '0001-01-01T00:00:00Z',
      history: layers.map(() => ({ created: '0001-01-01T00:00:00Z' })),
      os: '',
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
      config: {},
    });
    const manifest = json({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: CONFIG_TYPE, ...blobOf(config) },
      layers,
    });
    await pushContent(client, [payload, config], manifest, MANIFEST_TYPE, tagged);
  }
}

/** Simple signing (containers-signature(5)); cosign calls it so as well. */
function payloadOf(reference: string, digest: string): Buffer {
  return json({
    critical: {
      identity: { 'docker-reference': reference },
      image: { 'docker-manifest-digest': digest },
      type: 'cosign container image signature',
    },
    optional: null,
  });
}

function blobOf(content: Buffer) {
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { digest, size: content.length };
}

function isBy(key: KeyObject, layer: Layer, payload: Buffer): boolean {
  const signature = layer.annotations?.[SIGNATURE];
  if (signature === undefined || layer.digest !== blobOf(payload).digest) return false;
  return verify('sha256', payload, createPublicKey(key), Buffer.from(signature, 'base64'));
}
