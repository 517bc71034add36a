import type { ElfFile } from '../../elf/types.js';
import type { LoadedObject } from '../../loader/loaded-object.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { baseName } from '../../text/base-name.js';

/** The request, and which paths are in the jail. */
interface Given {
  readonly request: ResolveRequest;
  has(path: string): boolean;
}

/** A kind of file that programs may open at run time and that no rule adds automatically. */
interface HintKind {
  /** Functions whose import is evidence for it. */
  readonly functions: readonly string[];
  readonly what: string;
  readonly add: string;
  /** Libraries that provide this to others, by soname; their own imports are no evidence. */
  readonly offeredBy?: RegExp;
  /** Returns whether the jail already has it. */
  isCovered(given: Given): boolean;
}

/** Functions of TLS clients that verify peers with the system's certificates. */
const TLS_CLIENT_FUNCTIONS: readonly string[] = [
  ...['SSL_CTX_set_default_verify_paths', 'SSL_CTX_set_default_verify_file'],
  ...['X509_STORE_set_default_paths', 'X509_STORE_set_default_paths_ex'],
  ...['gnutls_certificate_set_x509_system_trust', 'curl_easy_init'],
];

/** Returns whether an object verifies TLS peers, according to its imports. */
export function isTlsClient(imports: readonly string[]): boolean {
  return TLS_CLIENT_FUNCTIONS.some((name) => imports.includes(name));
}

/**
 * Functions that servers call, but not the tools that make their keys (accept(2), and those of APR,
 * libevent and libuv).
 */
const SERVER_FUNCTIONS: readonly string[] = [
  ...['accept', 'accept4', 'apr_socket_accept', 'evconnlistener_new_bind', 'uv_accept'],
];

/** Returns whether a program is a server, according to its imports. */
export function isServer(imports: readonly string[]): boolean {
  return SERVER_FUNCTIONS.some((name) => imports.includes(name));
}

const some = (names: 'all' | readonly string[] = []): boolean => names.length > 0;
const certificates = {
  add: '--ca-certificates',
  offeredBy: /^lib(ssl|crypto|gnutls|curl|curl-gnutls)\./,
  isCovered: ({ request, has }: Given) =>
    request.caCertificates === true || has('/etc/ssl/certs') || has('/etc/pki/tls/certs'),
} as const;

/** In the order of output. */
const KINDS: readonly HintKind[] = [
  {
    functions: TLS_CLIENT_FUNCTIONS,
    what: 'CA certificates, to verify TLS peers',
    ...certificates,
  },
  {
    functions: ['SSL_CTX_new', 'SSL_CTX_load_verify_locations', 'SSL_CTX_load_verify_file'],
    what: 'certificates for TLS',
    ...certificates,
  },
  {
    functions: ['getaddrinfo', 'gethostbyname', 'gethostbyname2', 'gethostbyname_r', 'res_query'],
    what: 'host names',
    add: '/etc/resolv.conf and /etc/hosts',
    isCovered: ({ has }) => has('/etc/resolv.conf') || has('/etc/hosts'),
  },
  {
    functions: [
      ...['getpwnam', 'getpwuid', 'getpwnam_r', 'getpwuid_r', 'getpwent'],
      ...['getgrnam', 'getgrgid', 'getgrnam_r', 'getgrgid_r', 'getgrent', 'initgroups'],
    ],
    what: 'user and group names',
    add: '/etc/passwd and /etc/group',
    isCovered: ({ has }) => has('/etc/passwd') && has('/etc/group'),
  },
  {
    functions: ['pam_start'],
    what: 'PAM authentication',
    add: '/etc/pam.d and the modules that it names',
    isCovered: ({ has }) => has('/etc/pam.d'),
  },
  {
    functions: ['setlocale', 'newlocale'],
    what: 'locales other than C',
    add: '--locale NAME',
    isCovered: ({ request }) => some(request.locales),
  },
  {
    functions: ['iconv_open'],
    what: 'character sets other than UTF-8 and ASCII',
    add: '--gconv NAME',
    isCovered: ({ request }) => some(request.gconv),
  },
  {
    functions: ['tzset', 'localtime', 'localtime_r', 'mktime', 'localtime_rz', 'tzalloc'],
    what: 'time zones other than UTC',
    add: '--tz NAME, or --tz host',
    isCovered: ({ request, has }) => some(request.timeZones) || has('/etc/localtime'),
  },
  {
    functions: ['OSSL_PROVIDER_load', 'ENGINE_by_id', 'ENGINE_load_builtin_engines'],
    what: 'OpenSSL modules',
    add: 'them by path, as further programs',
    isCovered: () => false,
  },
  {
    functions: ['dlopen', 'dlmopen'],
    what: 'libraries opened at run time (dlopen)',
    add: 'them by path, as further programs',
    isCovered: () => false,
  },
];

/** The functions that hints depend on. */
export const HINT_FUNCTIONS: ReadonlySet<string> = new Set([
  ...KINDS.flatMap(({ functions }) => functions),
  ...SERVER_FUNCTIONS,
]);

/**
 * Matches libraries of the C library itself; their imports are no evidence of what a program does.
 */
const LIBC_SONAME =
  /^(ld-|libc\.|libc-|libm\.|libdl\.|libpthread\.|librt\.|libutil\.|libresolv\.|libnsl\.|libanl\.|libnss_|libthread_db\.|libmvec\.)/;

/** Collects which objects may need what, for one line for each kind. */
export class Hints {
  readonly #names = new Map<HintKind, Set<string>>();
  readonly #scripts = new Map<string, Set<string>>();
  readonly #noted = new Set<ElfFile>();

  /**
   * Records the imports of an object.
   *
   * @param isNoted whether its notes declare what it opens by dlopen
   */
  note({ trace, elf }: LoadedObject, imports: readonly string[], isNoted: boolean): void {
    if (this.#noted.has(elf)) return;
    this.#noted.add(elf);
    const name = elf.dynamic?.soname ?? baseName(trace.path);
    if (imports.length === 0 || LIBC_SONAME.test(name)) return;
    for (const kind of KINDS) {
      if (!kind.functions.some((item) => imports.includes(item))) continue;
      if (kind.offeredBy?.test(name)) continue;
      if (isNoted && kind.functions.includes('dlopen')) continue;
      addTo(this.#names, kind, name);
    }
  }

  /** Records a script in a language whose modules are not followed. */
  noteScript(script: string, interpreter: string): void {
    const language = languageOf(interpreter);
    if (language !== undefined) addTo(this.#scripts, language, baseName(script));
  }

  /** Returns one line for each kind that is not covered, in a fixed order. */
  lines(given: Given): string[] {
    const lines = KINDS.flatMap((kind) => {
      const names = this.#names.get(kind);
      if (names === undefined || kind.isCovered(given)) return [];
      return [`${kind.what} (${list(names)}): add ${kind.add}`];
    });
    const scripts = LANGUAGES.flatMap(({ name }) => {
      const names = this.#scripts.get(name);
      return names === undefined ? [] : [`${name} modules (${list(names)}): add their directories`];
    });
    return [...lines, ...scripts];
  }
}

function addTo<K>(map: Map<K, Set<string>>, key: K, name: string): void {
  const names = map.get(key);
  if (names === undefined) map.set(key, new Set([name]));
  else names.add(name);
}

/** Returns the language of an interpreter with modules in files; undefined for shells. */
export function languageOf(interpreter: string): string | undefined {
  return LANGUAGES.find(({ interpreters }) => interpreters.test(baseName(interpreter)))?.name;
}

const LANGUAGES: readonly { readonly name: string; readonly interpreters: RegExp }[] = [
  { name: 'Lua', interpreters: /^lua(jit)?[\d.]*$/ },
  { name: 'Node.js', interpreters: /^node(js)?[\d.]*$/ },
  { name: 'Perl', interpreters: /^perl[\d.]*$/ },
  { name: 'PHP', interpreters: /^php[\d.]*$/ },
  { name: 'Python', interpreters: /^(python|pypy)[\d.]*$/ },
  { name: 'Ruby', interpreters: /^ruby[\d.]*$/ },
  { name: 'Tcl', interpreters: /^(tclsh|wish)[\d.]*$/ },
];

/** Lists the first names in alphabetical order, and the number of others. */
function list(names: ReadonlySet<string>): string {
  const sorted = [...names].sort();
  const shown = sorted.slice(0, SHOWN);
  const more = sorted.length - shown.length;
  return more === 0 ? shown.join(', ') : `${shown.join(', ')} and ${more} more`;
}

const SHOWN = 4;
