import path from 'node:path';
import { rootCertificates } from 'node:tls';
import systemAuthorities from '../../../templates/ca-certificates.json' with { type: 'json' };
import { JailbuildError, strerror } from '../../errors.js';
import { ownVariable } from '../../fs/own-environment.js';
import { listNames } from '../../fs/path-bytes.js';
import { readTextFile } from '../../fs/read-text.js';
import type { RegistryAccess } from './access.js';

/** In bytes; a system's bundle of authorities has a few hundred kilobytes. */
const MAX_PEM = 16 << 20;
const CERTIFICATE_DIRECTORIES = ['/etc/containers/certs.d', '/etc/docker/certs.d'];

/**
 * Returns the authorities of the system, of Node, and those configured for a registry.
 *
 * @throws JailbuildError NOT_READABLE, USAGE
 */
export function authoritiesFor(host: string, access: RegistryAccess): string[] {
  const { caFile } = access;
  const ofSystem = ownVariable('SSL_CERT_FILE');
  const system = ofSystem ? [ofSystem] : systemAuthorities.bundles;
  const ofNode = ownVariable('NODE_EXTRA_CA_CERTS');
  const extra = ofNode ? [ofNode] : [];
  const found = [...system, ...extra, ...certificatesFor(host, access).filter(isAuthority)].map(
    readIfThere,
  );
  return [
    ...rootCertificates,
    ...found.filter((text) => text !== undefined),
    ...(caFile === undefined ? [] : [readAuthority(caFile)]),
  ];
}

/**
 * Returns the client certificate for a registry with its key, if it has one (containers-certs.d(5)).
 *
 * @throws JailbuildError NOT_READABLE
 */
export function clientCertificateFor(host: string, access: RegistryAccess) {
  return clientCertificate(certificatesFor(host, access));
}

function certificatesFor(host: string, { certDir }: RegistryAccess): readonly string[] {
  return certDir === undefined ? certificatesOf(host) : certificatesIn(certDir);
}

function readIfThere(file: string): string | undefined {
  try {
    return readTextFile(file, MAX_PEM);
  } catch {
    return undefined;
  }
}

/** @throws JailbuildError NOT_READABLE, USAGE */
function readAuthority(file: string): string {
  const text = readTextFile(file, MAX_PEM, `--registry-ca ${file}`);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new JailbuildError('USAGE', `--registry-ca ${file}: has no certificate in PEM form`, file);
}

/** Returns files configured for one host (containers-certs.d(5)). */
function certificatesOf(host: string): readonly string[] {
  for (const directory of CERTIFICATE_DIRECTORIES) {
    try {
      return filesIn(path.join(directory, host));
    } catch {
      // Most hosts have none.
    }
  }
  return [];
}

/** @throws JailbuildError NOT_READABLE */
function certificatesIn(directory: string): readonly string[] {
  try {
    return filesIn(directory);
  } catch (error) {
    throw new JailbuildError('NOT_READABLE', `${directory}: ${strerror(error)}`, directory);
  }
}

function filesIn(directory: string): readonly string[] {
  return listNames(directory)
    .sort()
    .map((name) => path.join(directory, name));
}

function isAuthority(file: string): boolean {
  return file.endsWith('.crt');
}

/**
 * The first client certificate among files, with its key (containers-certs.d(5)).
 *
 * @throws JailbuildError NOT_READABLE
 */
function clientCertificate(files: readonly string[]): { cert?: string; key?: string } {
  const file = files.find((name) => name.endsWith('.cert'));
  if (file === undefined) return {};
  const key = file.replace(/\.cert$/, '.key');
  return { cert: readTextFile(file, MAX_PEM), key: readTextFile(key, MAX_PEM) };
}
