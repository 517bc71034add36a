import type { LoadedObject } from '../loader/loaded-object.js';
import type { ResolveRequest } from './request.js';

/** Something that programs may look for when they run, and that no rule has brought. */
interface HintKind {
  /** Functions that show it. */
  readonly functions: readonly string[];
  /** What the programs do, in the plural. */
  readonly does: string;
  readonly add: string;
  /** True if what was asked for covers it. */
  isCovered(request: ResolveRequest): boolean;
}

const never = (): boolean => false;
const given = (names: 'all' | readonly string[] | undefined): boolean =>
  names === 'all' || (names?.length ?? 0) > 0;

/** In the order in which they are told. */
const KINDS: readonly HintKind[] = [
  {
    functions: [
      ...['SSL_CTX_new', 'SSL_CTX_set_default_verify_paths', 'SSL_CTX_load_verify_locations'],
      ...['X509_STORE_set_default_paths', 'gnutls_certificate_set_x509_system_trust'],
    ],
    does: 'speak TLS',
    add: '--ca-certificates, to verify their peers',
    isCovered: ({ caCertificates }) => caCertificates === true,
  },
  {
    functions: ['getaddrinfo', 'gethostbyname', 'gethostbyname2', 'gethostbyname_r', 'res_query'],
    does: 'look up hosts',
    add: '/etc/resolv.conf and /etc/hosts',
    isCovered: never,
  },
  {
    functions: [
      ...['getpwnam', 'getpwuid', 'getpwnam_r', 'getpwuid_r', 'getpwent'],
      ...['getgrnam', 'getgrgid', 'getgrnam_r', 'getgrgid_r', 'getgrent', 'initgroups'],
    ],
    does: 'look up users or groups',
    add: '/etc/passwd and /etc/group',
    isCovered: never,
  },
  {
    functions: ['pam_start'],
    does: 'authenticate through PAM',
    add: '/etc/pam.d and the modules that it names',
    isCovered: never,
  },
  {
    functions: ['setlocale', 'newlocale'],
    does: 'follow the locale',
    add: '--locale NAME, for others than C and C.UTF-8',
    isCovered: ({ locales }) => given(locales),
  },
  {
    functions: ['iconv_open'],
    does: 'convert between character sets',
    add: '--gconv NAME, for others than UTF-8 and ASCII',
    isCovered: ({ gconv }) => given(gconv),
  },
  {
    functions: ['tzset', 'localtime', 'localtime_r', 'mktime', 'localtime_rz', 'tzalloc'],
    does: 'tell local time',
    add: '--tz NAME or --tz host, for others than UTC',
    isCovered: ({ timeZones }) => given(timeZones),
  },
  {
    functions: ['OSSL_PROVIDER_load', 'ENGINE_by_id', 'ENGINE_load_builtin_engines'],
    does: 'may load modules of OpenSSL',
    add: 'those by path, as further programs',
    isCovered: never,
  },
  {
    functions: ['dlopen', 'dlmopen'],
    does: 'may load libraries by themselves (dlopen)',
    add: 'those by path, as further programs',
    isCovered: never,
  },
];

/** The functions that hints are about. */
export const HINT_FUNCTIONS: ReadonlySet<string> = new Set(
  KINDS.flatMap(({ functions }) => functions),
);

/** The C library's own libraries: what they import says nothing of what a program does. */
const LIBC_SONAME =
  /^(ld-|libc\.|libc-|libm\.|libdl\.|libpthread\.|librt\.|libutil\.|libresolv\.|libnsl\.|libanl\.|libnss_|libthread_db\.|libmvec\.)/;

/** Gathers who may need what, for one line a kind at the end. */
export class Hints {
  readonly #names = new Map<HintKind, Set<string>>();
  readonly #scripts = new Map<string, Set<string>>();

  /** Notes what an object imports. */
  note({ trace, elf }: LoadedObject, imports: readonly string[]): void {
    const soname = elf.dynamic?.soname;
    const name = baseName(trace.path);
    if (imports.length === 0 || LIBC_SONAME.test(soname ?? name)) return;
    for (const kind of KINDS) {
      if (!kind.functions.some((item) => imports.includes(item))) continue;
      const names = this.#names.get(kind);
      if (names === undefined) this.#names.set(kind, new Set([name]));
      else names.add(name);
    }
  }

  /** Notes a script of a language whose own modules nobody follows. */
  noteScript(script: string, interpreter: string): void {
    const language = LANGUAGES.find(({ interpreters }) => interpreters.test(baseName(interpreter)));
    if (language === undefined) return;
    const scripts = this.#scripts.get(language.name);
    if (scripts === undefined) this.#scripts.set(language.name, new Set([baseName(script)]));
    else scripts.add(baseName(script));
  }

  /** One line for each kind that the request does not cover, in a fixed order. */
  lines(request: ResolveRequest): string[] {
    const lines = KINDS.flatMap((kind) => {
      const names = this.#names.get(kind);
      if (names === undefined || kind.isCovered(request)) return [];
      return [`${list(names)} ${kind.does}: add ${kind.add}`];
    });
    const scripts = LANGUAGES.flatMap(({ name }) => {
      const names = this.#scripts.get(name);
      return names === undefined ? [] : [`${list(names)} may load modules of ${name}: add those`];
    });
    return [...lines, ...scripts];
  }
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

/** The first names in the order of the alphabet, and how many more there are. */
function list(names: ReadonlySet<string>): string {
  const sorted = [...names].sort();
  const shown = sorted.slice(0, SHOWN);
  const more = sorted.length - shown.length;
  return more === 0 ? shown.join(', ') : `${shown.join(', ')} and ${more} more`;
}

const SHOWN = 4;

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
