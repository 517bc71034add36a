import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { FileCollection } from '../file-collection.js';

/** The paths where an OpenSSL was built to look for its data. */
export interface OpenSslPaths {
  /** OPENSSLDIR: openssl.cnf, cert.pem and certs/. */
  readonly directory: string | undefined;
  /** MODULESDIR: its providers. */
  readonly modules: string | undefined;
}

/** The maximum size of libcrypto in bytes; real ones have about five megabytes. */
const MAX_LIBCRYPTO_SIZE = 64 << 20;
/** The library of OpenSSL that loads providers. */
export const PROVIDER_LIBRARY = 'libcrypto.so.3';
/** Providers built into libcrypto. */
const BUILT_IN = new Set(['default', 'base', 'null']);

/**
 * Determines OpenSSL's directories from the strings of libcrypto, as `openssl version -a` prints
 * them.
 */
export function openSslPaths(sysroot: Sysroot, libcrypto: string): OpenSslPaths | undefined {
  const trace = sysroot.trace(libcrypto);
  if (!isTrace(trace)) return undefined;
  const reader = sysroot.open(trace);
  try {
    const bytes = reader.read(0, Math.min(reader.size, MAX_LIBCRYPTO_SIZE));
    const quoted = (name: string): string | undefined => {
      const at = bytes.indexOf(`${name}: "`, 0, 'latin1');
      if (at < 0) return undefined;
      const text = bytes.toString('utf8', at, Math.min(at + 1024, bytes.length));
      return /^[A-Z]+: "(\/[^"\0]*)"/.exec(text)?.[1];
    };
    return { directory: quoted('OPENSSLDIR'), modules: quoted('MODULESDIR') };
  } finally {
    reader.close();
  }
}

/**
 * Adds OpenSSL's configuration, which every program with libcrypto reads, and opens the providers
 * that it activates (config(5ssl), "Provider Configuration").
 *
 * @param open opens a provider from the library at `libcrypto`; returns false if it does not exist
 * @returns warnings
 */
export function addOpenSslConfiguration(
  sysroot: Sysroot,
  files: FileCollection,
  libcrypto: string,
  open: (path: string) => boolean,
): string[] {
  const paths = openSslPaths(sysroot, libcrypto);
  if (paths?.directory === undefined) return [];
  const conf = sysroot.trace(`${paths.directory}/openssl.cnf`);
  if (!isTrace(conf) || conf.stat.type !== 'file') return [];
  files.add(conf, { kind: 'openssl' });
  return activeProviders(sysroot, conf).flatMap(({ name, module }) => {
    const path = module ?? `${name}.so`;
    const absolute = path.startsWith('/') ? path : `${paths.modules ?? paths.directory}/${path}`;
    if (open(absolute)) return [];
    return [`${conf.path} activates the provider ${name}, but ${absolute} does not exist`];
  });
}

/**
 * Returns the providers of an OpenSSL that a program mentions by name, and may load
 * (OSSL_PROVIDER_load(3)).
 */
export function mentionedProviders(
  sysroot: Sysroot,
  libcrypto: string,
  mentions: (name: string) => boolean,
): Trace[] {
  const { modules } = openSslPaths(sysroot, libcrypto) ?? {};
  const directory = modules === undefined ? undefined : sysroot.trace(modules);
  if (directory === undefined || !isTrace(directory) || directory.stat.type !== 'directory')
    return [];
  return sysroot
    .list(directory)
    .filter((name) => name.endsWith('.so') && mentions(name.slice(0, -'.so'.length)))
    .map((name) => sysroot.trace(`${directory.path}/${name}`))
    .filter(isTrace);
}

function activeProviders(sysroot: Sysroot, conf: Trace) {
  const sections = parseConfiguration(sysroot.readText(conf));
  const main = sections.get('')?.get('openssl_conf') ?? 'openssl_init';
  const list = sections.get(sections.get(main)?.get('providers') ?? '');
  return [...(list ?? [])].flatMap(([name, section]) => {
    const values = sections.get(section);
    const isActive = /^(1|yes|true|on)$/i.test(values?.get('activate') ?? '');
    if (!isActive || BUILT_IN.has(values?.get('identity') ?? name)) return [];
    return [{ name: values?.get('identity') ?? name, module: values?.get('module') }];
  });
}

/**
 * Parses names and values by section, '' for those before the first; the last value of a name wins.
 */
function parseConfiguration(text: string): Map<string, Map<string, string>> {
  let section = new Map<string, string>();
  const sections = new Map([['', section]]);
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim();
    const title = /^\[\s*(.*?)\s*\]$/.exec(line)?.[1];
    if (title !== undefined) {
      section = sections.get(title) ?? new Map();
      sections.set(title, section);
      continue;
    }
    const cut = line.indexOf('=');
    if (cut > 0) section.set(line.slice(0, cut).trim(), line.slice(cut + 1).trim());
  }
  return sections;
}
