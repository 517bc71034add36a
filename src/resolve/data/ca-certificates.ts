import template from '../../../templates/ca-certificates.json' with { type: 'json' };
import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import type { FileCollection } from '../file-collection.js';
import { openSslPaths } from './openssl.js';

/**
 * Adds the certificates of authorities from where the distribution keeps them: the file with all of
 * them and the directory with one file for each, since TLS libraries use either. If OpenSSL is
 * among the libraries, also adds them at the paths it was built with.
 *
 * @param libcryptos paths of the OpenSSL libraries that programs load
 * @throws JailbuildError CA_CERTIFICATES_NOT_FOUND
 */
export function addCaCertificates(
  sysroot: Sysroot,
  files: FileCollection,
  libcryptos: readonly string[],
): void {
  const configured = libcryptos.flatMap((path) => openSslPaths(sysroot, path)?.directory ?? []);
  const bundles = [...template.bundles, ...configured.map((path) => `${path}/cert.pem`)];
  const directories = [...template.directories, ...configured.map((path) => `${path}/certs`)];
  let found = false;
  for (const path of bundles) {
    const trace = sysroot.trace(path);
    if (!isTrace(trace) || trace.stat.type !== 'file') continue;
    files.add(trace, { kind: 'ca-certificates' });
    found = true;
  }
  for (const path of directories) {
    const trace = sysroot.trace(path);
    if (!isTrace(trace) || trace.stat.type !== 'directory') continue;
    files.addTree(trace, () => ({ kind: 'ca-certificates' }));
    found = true;
  }
  if (found) return;
  throw new JailbuildError(
    'CA_CERTIFICATES_NOT_FOUND',
    `no CA certificates in ${bundles.join(', ')}: install the package ca-certificates`,
  );
}
