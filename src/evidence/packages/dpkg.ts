import { isTrace, type Sysroot, type Trace, type TraceFailure } from '../../fs/sysroot.js';
import { databaseNames, readIfThere } from './aliases.js';
import { allOf, licenseExpression } from './license.js';
import {
  type InstalledPackage,
  MAX_OWNERS,
  type Package,
  type PackageDatabase,
} from './package.js';
import { PathIndex } from './path-index.js';
import { dpkgRelations } from './relations.js';
import { type Stanza, stanzas } from './stanzas.js';

const DATABASE = '/var/lib/dpkg';
const NEWLINE = 0x0a;
/** The number of names that are searched for one by one, before all are listed. */
const FEW = 4;
/** States in which the files of a package exist (dpkg(1), "Package states"). */
const PRESENT = / (installed|triggers-pending|triggers-awaited|half-configured|unpacked)$/;

interface Diversion {
  readonly to: string;
  readonly by: string;
}

/**
 * The packages of dpkg's status file and file lists (dpkg(1), "FILES"), and of status.d, which
 * images without a package manager contain. Diverted files belong to the package for which or from
 * which they were diverted (dpkg-divert(1)).
 */
export class DpkgDatabase implements PackageDatabase {
  readonly #sysroot: Sysroot;
  readonly #status: Buffer;
  /** Files of status.d, by package name. */
  readonly #parts: ReadonlyMap<string, string>;
  /** By name, the native architecture first. */
  readonly #packages = new Map<string, InstalledPackage[]>();
  readonly #listOf = new Map<InstalledPackage, string>();
  /** File lists already read. */
  readonly #texts = new Map<string, string>();
  /** The lines of lists that are searched often, and the number of searches of each list. */
  readonly #lines = new Map<string, ReadonlySet<string>>();
  readonly #asked = new Map<string, number>();
  #starts: ReadonlyMap<string, readonly number[]> | undefined;
  #searched = 0;
  #index: PathIndex | undefined;
  #diversions: ReadonlyMap<string, Diversion> | undefined;
  #providers: ReadonlyMap<string, readonly string[]> | undefined;

  private constructor(sysroot: Sysroot, status: Buffer, parts: ReadonlyMap<string, string>) {
    this.#sysroot = sysroot;
    this.#status = status;
    this.#parts = parts;
  }

  /**
   * Opens the database of a sysroot.
   *
   * @returns undefined if there is none, and a sentence if it cannot be used
   */
  static open(sysroot: Sysroot): DpkgDatabase | string | undefined {
    const found = sysroot.trace(`${DATABASE}/status`);
    const isThere = isTrace(found) && found.stat.type === 'file';
    // Kept as bytes, since most of it is never read.
    const status = isThere ? readBytes(sysroot, found.path) : undefined;
    const parts = new Map<string, string>();
    for (const part of namesIn(sysroot, `${DATABASE}/status.d`)) {
      if (part.endsWith('.md5sums')) continue;
      const text = readIfThere(sysroot, `${DATABASE}/status.d/${part}`) ?? '';
      const name = stanzas(text).next().value?.get('package');
      if (name !== undefined) parts.set(name, part);
    }
    if (status === undefined && parts.size === 0) return undefined;
    if (status !== undefined && isDamaged(status)) {
      return `${DATABASE}/status: is damaged: its packages are ignored`;
    }
    return new DpkgDatabase(sysroot, status ?? Buffer.alloc(0), parts);
  }

  names(): readonly string[] {
    const names = new Set(this.#parts.keys());
    for (const name of this.#offsets().keys()) {
      if (this.#named(name).length > 0) names.add(name);
    }
    return [...names];
  }

  find(name: string): InstalledPackage | undefined {
    const [base = '', architecture] = name.split(':');
    const named = this.#named(base);
    return architecture === undefined
      ? named[0]
      : named.find((installed) => installed.architecture === architecture);
  }

  providersOf(capability: string): readonly InstalledPackage[] {
    const named = this.#named(capability);
    if (named.length > 0) return named.slice(0, 1);
    this.#providers ??= this.#readProviders();
    return (this.#providers.get(capability) ?? []).flatMap((name) => this.find(name) ?? []);
  }

  filesOf(installed: InstalledPackage): readonly string[] | undefined {
    const list = this.#findList(installed);
    if (list === undefined) return undefined;
    return this.#text(list)
      .split('\n')
      .flatMap((listed) =>
        !listed.startsWith('/') || listed === '/.' ? [] : this.#placeOf(listed, installed),
      );
  }

  ownersOf(paths: readonly string[]): ReadonlyMap<string, readonly InstalledPackage[]> {
    const owners = new Map<string, InstalledPackage[]>();
    if (paths.length === 0) return owners;
    const back = new Map([...this.#diverted()].map(([from, { to }]) => [to, from]));
    for (const [name, path] of databaseNames(this.#sysroot, paths)) {
      const listed = back.get(name) ?? name;
      const candidates = this.#indexed().listsOf(listed);
      if (candidates.length > MAX_OWNERS) continue;
      for (const list of candidates) {
        const owner = this.#ownerBy(list);
        if (owner === undefined || !this.#names(list, listed)) continue;
        if (this.#placeOf(listed, owner) !== name) continue;
        const known = owners.get(path) ?? [];
        if (!known.includes(owner)) owners.set(path, [...known, owner]);
      }
    }
    return owners;
  }

  essentials(): readonly InstalledPackage[] {
    const names = [...this.#fields('Essential')]
      .filter(({ value }) => value === 'yes')
      .map(({ at }) => this.#nameAt(at));
    return names.flatMap((name) => this.find(name) ?? []);
  }

  detailsOf(installed: InstalledPackage): Package {
    const { section, depends, recommends, suggests, isEssential, ...others } = installed;
    const copyright = readIfThere(this.#sysroot, `/usr/share/doc/${installed.name}/copyright`);
    const license = debianLicense(copyright ?? '');
    return license === undefined ? others : { ...others, license };
  }

  /** Returns the packages of a name, parsed on demand. */
  #named(name: string): readonly InstalledPackage[] {
    const known = this.#packages.get(name);
    if (known !== undefined) return known;
    const found: InstalledPackage[] = [];
    this.#packages.set(name, found);
    for (const stanza of this.#stanzasOf(name)) found.push(packageOf(name, stanza));
    if (found.length > 1) {
      const native = readIfThere(this.#sysroot, `${DATABASE}/arch`)?.split('\n')[0];
      const rank = ({ architecture }: InstalledPackage) => Number(architecture !== native);
      found.sort((a, b) => rank(a) - rank(b));
    }
    const part = this.#parts.get(name);
    if (part !== undefined) {
      const text = readIfThere(this.#sysroot, `${DATABASE}/status.d/${part}`) ?? '';
      for (const stanza of stanzas(text)) {
        const installed = packageOf(name, stanza);
        this.#listOf.set(installed, `${part}.md5sums`);
        found.push(installed);
      }
    }
    return found;
  }

  #stanzasOf(name: string): Stanza[] {
    const found: Stanza[] = [];
    for (const at of this.#offsetsOf(name)) {
      const end = this.#status.indexOf('\n\n', at);
      const text = this.#status.toString('utf8', at, end < 0 ? this.#status.length : end);
      const [stanza] = stanzas(text);
      if (stanza !== undefined && PRESENT.test(stanza.get('status') ?? '')) found.push(stanza);
    }
    return found;
  }

  /** Returns the offsets of a name's stanzas: searches for the first few names, then lists all. */
  #offsetsOf(name: string): readonly number[] {
    if (this.#starts !== undefined || this.#searched++ >= FEW)
      return this.#offsets().get(name) ?? [];
    const status = this.#status;
    const line = `Package: ${name}\n`;
    const found: number[] = [];
    for (let at = status.indexOf(line); at >= 0; at = status.indexOf(line, at + 1)) {
      if (at === 0 || status[at - 1] === NEWLINE) found.push(at);
    }
    return found;
  }

  /** Returns the offsets of every name's stanzas. */
  #offsets(): ReadonlyMap<string, readonly number[]> {
    if (this.#starts !== undefined) return this.#starts;
    const starts = new Map<string, number[]>();
    for (const { at, value } of this.#fields('Package')) {
      const known = starts.get(value);
      if (known === undefined) starts.set(value, [at]);
      else known.push(at);
    }
    this.#starts = starts;
    return starts;
  }

  /** Yields the lines of one field in the status file. */
  *#fields(name: string): Generator<{ readonly at: number; readonly value: string }> {
    const status = this.#status;
    const head = `${name}: `;
    for (let at = status.indexOf(head); at >= 0; at = status.indexOf(head, at + 1)) {
      if (at > 0 && status[at - 1] !== NEWLINE) continue;
      const end = status.indexOf(NEWLINE, at);
      const value = status.toString('utf8', at + head.length, end < 0 ? status.length : end);
      yield { at, value };
    }
  }

  /** Returns the name of the package whose stanza contains an offset of the status file. */
  #nameAt(offset: number): string {
    const start = this.#status.lastIndexOf('Package: ', offset) + 'Package: '.length;
    return this.#status.toString('utf8', start, this.#status.indexOf(NEWLINE, start));
  }

  #findList(installed: InstalledPackage): string | undefined {
    const { name, architecture } = installed;
    let list = this.#listOf.get(installed);
    if (list === undefined) {
      list = [`${name}:${architecture}.list`, `${name}.list`].find((file) =>
        isTrace(this.#sysroot.trace(`${DATABASE}/info/${file}`)),
      );
      if (list !== undefined) this.#listOf.set(installed, list);
    }
    return list;
  }

  #ownerBy(list: string): InstalledPackage | undefined {
    const name = list.endsWith('.md5sums')
      ? [...this.#parts].find(([, part]) => `${part}.md5sums` === list)?.[0]
      : list.replace(/\.list$/, '');
    return name === undefined ? undefined : this.find(name);
  }

  /** Returns where a file of a package's list really is. */
  #placeOf(listed: string, { name }: InstalledPackage): string {
    const diverted = this.#diverted().get(listed);
    return diverted === undefined || diverted.by === name ? listed : diverted.to;
  }

  #names(list: string, listed: string): boolean {
    const text = this.#text(list);
    const asked = (this.#asked.get(list) ?? 0) + 1;
    this.#asked.set(list, asked);
    if (asked <= FEW) return text.startsWith(`${listed}\n`) || text.includes(`\n${listed}\n`);
    let lines = this.#lines.get(list);
    if (lines === undefined) {
      lines = new Set(text.split('\n'));
      this.#lines.set(list, lines);
    }
    return lines.has(listed);
  }

  #text(list: string): string {
    let text = this.#texts.get(list);
    if (text === undefined) {
      text = `${this.#read(list).toString('utf8')}\n`;
      this.#texts.set(list, text);
    }
    return text;
  }

  #read(list: string): Buffer {
    if (!list.endsWith('.md5sums')) {
      return readBytes(this.#sysroot, `${DATABASE}/info/${list}`);
    }
    const sums = readIfThere(this.#sysroot, `${DATABASE}/status.d/${list}`) ?? '';
    return Buffer.from(sums.replace(/^[0-9a-f]{32}\s+\.?\/?/gm, '/'));
  }

  /**
   * Returns the index of lists. For the host's own root it is cached, since building it takes 0.1
   * s.
   */
  #indexed(): PathIndex {
    if (this.#index !== undefined) return this.#index;
    const trace = this.#sysroot.trace(`${DATABASE}/info`);
    const state =
      this.#sysroot.prefix === '' && this.#parts.size === 0 ? stateOf(trace) : undefined;
    this.#index = state === undefined ? undefined : PathIndex.kept(state);
    if (this.#index === undefined) {
      const names = isTrace(trace) ? this.#sysroot.list(trace) : [];
      const lists = names.filter((name) => name.endsWith('.list'));
      const parts = [...this.#parts.values()].map((part) => `${part}.md5sums`);
      this.#index = PathIndex.of([...lists, ...parts], (list) => this.#read(list));
      if (state !== undefined) this.#index.keep(state);
    }
    return this.#index;
  }

  #diverted(): ReadonlyMap<string, Diversion> {
    this.#diversions ??= readDiversions(readIfThere(this.#sysroot, `${DATABASE}/diversions`) ?? '');
    return this.#diversions;
  }

  #readProviders(): ReadonlyMap<string, readonly string[]> {
    const providers = new Map<string, string[]>();
    for (const { at, value } of this.#fields('Provides')) {
      const name = this.#nameAt(at);
      for (const capability of dpkgRelations(value).flat()) {
        providers.set(capability, [...(providers.get(capability) ?? []), name]);
      }
    }
    return providers;
  }
}

/** Returns whether a status file contains text but no package. */
function isDamaged(status: Buffer): boolean {
  if (status.indexOf('Package: ') === 0 || status.includes('\nPackage: ')) return false;
  return status.toString('latin1').trim() !== '';
}

/**
 * Identifies a state of the database: the directory changes with each installation, since lists are
 * replaced, not written in place.
 */
function stateOf(info: Trace | TraceFailure): string | undefined {
  if (!isTrace(info)) return undefined;
  const { identity, mtimeNs } = info.stat;
  return `${identity} ${mtimeNs}`;
}

function readBytes(sysroot: Sysroot, path: string): Buffer {
  const found = sysroot.trace(path);
  if (!isTrace(found) || found.stat.type !== 'file') return Buffer.alloc(0);
  const reader = sysroot.open(found);
  try {
    return reader.read(0, reader.size);
  } finally {
    reader.close();
  }
}

function namesIn(sysroot: Sysroot, directory: string): string[] {
  const found = sysroot.trace(directory);
  return isTrace(found) && found.stat.type === 'directory' ? sysroot.list(found) : [];
}

function packageOf(name: string, stanza: Stanza): InstalledPackage {
  // `NAME`, or `NAME (VERSION)` if the version differs (deb-control(5)).
  const [, source, sourceVersion] = /^(\S+)(?: \((\S+)\))?/.exec(stanza.get('source') ?? '') ?? [];
  const supplier = stanza.get('maintainer');
  const homepage = stanza.get('homepage');
  const section = stanza.get('section')?.replace(/^.*\//, '');
  return {
    type: 'deb',
    name,
    version: stanza.get('version') ?? '',
    architecture: stanza.get('architecture') ?? 'all',
    ...(source === undefined || source === name ? {} : { source }),
    ...(sourceVersion === undefined ? {} : { sourceVersion }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(homepage === undefined ? {} : { homepage }),
    ...(section === undefined ? {} : { section }),
    depends: dpkgRelations(`${stanza.get('pre-depends') ?? ''},${stanza.get('depends') ?? ''}`),
    recommends: dpkgRelations(stanza.get('recommends')),
    suggests: dpkgRelations(stanza.get('suggests')),
    isEssential: stanza.get('essential') === 'yes',
  };
}

/**
 * Returns the licenses that the file paragraphs of a copyright file name; undefined if the file is
 * not in the machine-readable format.
 */
export function debianLicense(copyright: string): string | undefined {
  if (!/^Format(-Specification)?:/im.test(copyright.slice(0, 2000))) return undefined;
  const licenses = [...stanzas(copyright)].flatMap((stanza) => {
    const name = stanza.has('files') ? stanza.get('license')?.split('\n')[0] : undefined;
    return licenseExpression(name ?? '') ?? [];
  });
  return allOf(licenses);
}

/**
 * Parses diversions, three lines each: the file, its path instead, and the package that takes the
 * original path.
 */
function readDiversions(text: string): Map<string, { readonly to: string; readonly by: string }> {
  const lines = text.split('\n');
  const diversions = new Map<string, { to: string; by: string }>();
  for (let index = 0; index + 2 < lines.length; index += 3) {
    const [from = '', to = '', by = ''] = lines.slice(index, index + 3);
    diversions.set(from, { to, by });
  }
  return diversions;
}
