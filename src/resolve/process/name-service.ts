import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { FileCollection } from '../file-collection.js';
import type { RunningProcess } from './running-process.js';

/** A database of nsswitch.conf(5). */
type Database =
  | 'aliases'
  | 'ethers'
  | 'group'
  | 'gshadow'
  | 'hosts'
  | 'initgroups'
  | 'netgroup'
  | 'networks'
  | 'passwd'
  | 'protocols'
  | 'publickey'
  | 'rpc'
  | 'services'
  | 'shadow';

/** The C library's functions that query each database. Most have a variant `_r`. */
const FUNCTIONS: Readonly<Record<Database, readonly string[]>> = {
  aliases: ['getaliasbyname', 'getaliasent'],
  ethers: ['ether_hostton', 'ether_ntohost'],
  group: ['getgrent', 'getgrgid', 'getgrnam', 'getgrouplist', 'initgroups'],
  gshadow: ['getsgent', 'getsgnam'],
  hosts: [
    ...['getaddrinfo', 'getnameinfo', 'gethostent'],
    ...['gethostbyaddr', 'gethostbyname', 'gethostbyname2'],
  ],
  initgroups: ['getgrouplist', 'initgroups'],
  netgroup: ['getnetgrent', 'innetgr', 'setnetgrent'],
  networks: ['getnetbyaddr', 'getnetbyname', 'getnetent'],
  passwd: ['getpw', 'getpwent', 'getpwnam', 'getpwuid'],
  protocols: ['getprotobyname', 'getprotobynumber', 'getprotoent'],
  publickey: ['getpublickey', 'getsecretkey'],
  rpc: ['getrpcbyname', 'getrpcbynumber', 'getrpcent'],
  services: ['getaddrinfo', 'getnameinfo', 'getservbyname', 'getservbyport', 'getservent'],
  shadow: ['getspent', 'getspnam'],
};

/** The databases that each function queries. */
export const NSS_FUNCTIONS: ReadonlyMap<string, readonly Database[]> = byFunction();

/** Returns whether a program looks up names or addresses of hosts, according to its imports. */
export function looksUpHosts(imports: readonly string[]): boolean {
  return imports.some((name) => NSS_FUNCTIONS.get(name)?.includes('hosts'));
}

const CONF = '/etc/nsswitch.conf';
/** Services that glibc uses if nsswitch.conf does not list the database (nss/nss_database.c). */
const DEFAULT_SERVICES: Readonly<Partial<Record<Database, readonly string[]>>> = {
  hosts: ['files', 'dns'],
  networks: ['files', 'dns'],
  netgroup: ['nis'],
  initgroups: [],
};
const BUILT_IN = new Set(['files', 'dns']);

/** The version of glibc that first has the services `files` and `dns` built in. */
const WITH_SERVICES = 'GLIBC_2.34';

/**
 * The services that nsswitch.conf(5) of a root assigns to the C library's databases. glibc opens
 * the library `libnss_SERVICE.so.2` of each when a program first queries it; without it, the
 * service does not answer.
 */
export class NameService {
  /** Services that nsswitch.conf names but whose modules do not exist. */
  readonly absent = new Set<string>();
  readonly #sysroot: Sysroot;
  readonly #files: FileCollection;
  /** Cached by the list of imports itself: each file has one, and many processes have the file. */
  readonly #asked = new Map<readonly string[], ReadonlyMap<string, Database[]> | undefined>();
  #conf: { readonly trace: Trace | undefined; readonly services: NsswitchConf } | undefined;

  constructor(sysroot: Sysroot, files: FileCollection) {
    this.#sysroot = sysroot;
    this.#files = files;
  }

  /**
   * Adds nsswitch.conf and the modules that glibc opens for the functions that an object imports.
   * Ignores missing modules, as glibc does. A nsswitch.conf that is made for the jail takes
   * precedence over the sysroot's.
   *
   * @param glibc the C library of the process
   */
  open(
    process: RunningProcess,
    glibc: LoadedObject,
    by: LoadedObject,
    imports: readonly string[],
  ): void {
    if (imports.length === 0) return;
    const askedFor = this.#askedBy(imports);
    if (askedFor === undefined) return;
    const { trace } = this.#readConf();
    if (trace !== undefined) this.#files.add(trace, { kind: 'nsswitch', by: by.trace.path });
    const hasServices = glibc.elf.dynamic?.versions.defines?.has(WITH_SERVICES) === true;
    for (const [service, asked] of askedFor) {
      if (BUILT_IN.has(service) && hasServices) continue;
      const soname = `libnss_${service}.so.2`;
      // A module that queries the name service is itself already loaded.
      if (by.elf.dynamic?.soname === soname) continue;
      const isThere = process.opens(soname, glibc, ({ rule }) => ({
        kind: 'nss-module',
        by: by.trace.path,
        service,
        databases: asked.join(' '),
        rule,
      }));
      if (!isThere) this.absent.add(service);
    }
  }

  /**
   * Returns the services that functions query, with their databases; undefined if they query none.
   */
  #askedBy(imports: readonly string[]): ReadonlyMap<string, readonly Database[]> | undefined {
    if (this.#asked.has(imports)) return this.#asked.get(imports);
    const databases = new Set(imports.flatMap((name) => NSS_FUNCTIONS.get(name) ?? []));
    let askedFor: Map<string, Database[]> | undefined;
    if (databases.size > 0) {
      const { services } = this.#readConf();
      askedFor = new Map();
      for (const database of databases) {
        for (const service of services.get(database) ?? DEFAULT_SERVICES[database] ?? ['files']) {
          askedFor.set(service, [...(askedFor.get(service) ?? []), database]);
        }
      }
    }
    this.#asked.set(imports, askedFor);
    return askedFor;
  }

  #readConf() {
    if (this.#conf === undefined) {
      const found = this.#sysroot.trace(CONF);
      const own = this.#files.contentOf(CONF)?.toString();
      const trace =
        own === undefined && isTrace(found) && found.stat.type === 'file' ? found : undefined;
      const text = own ?? (trace === undefined ? '' : this.#sysroot.readText(trace));
      this.#conf = { trace, services: parseNsswitch(text) };
    }
    return this.#conf;
  }
}

/** The services of each database. */
export type NsswitchConf = ReadonlyMap<string, readonly string[]>;

/** Parses the services of each database in order; ignores actions. */
export function parseNsswitch(text: string): NsswitchConf {
  const services = new Map<string, readonly string[]>();
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '');
    const cut = line.indexOf(':');
    if (cut < 0) continue;
    const names = line
      .slice(cut + 1)
      .replace(/\[[^\]]*\]/g, ' ')
      .split(/\s+/)
      .filter((name) => /^[A-Za-z0-9_.-]+$/.test(name));
    services.set(line.slice(0, cut).trim(), names);
  }
  return services;
}

function byFunction(): Map<string, Database[]> {
  const map = new Map<string, Database[]>();
  for (const [database, functions] of Object.entries(FUNCTIONS)) {
    for (const name of functions.flatMap((plain) => [plain, `${plain}_r`])) {
      map.set(name, [...(map.get(name) ?? []), database as Database]);
    }
  }
  return map;
}
