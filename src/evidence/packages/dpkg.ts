import { JailbuildError } from '../../errors.js';
import { isTrace, type Sysroot, type Trace, type TraceFailure } from '../../fs/sysroot.js';
import { databaseNames, readIfThere, TOP_LINKS } from './aliases.js';
import { type Diversions, readDiversions } from './diversions.js';
import { debianLicense, isDamaged, isPresent, packageOf, packagesNaming } from './dpkg-status.js';
import { keepIndex } from './kept-index.js';
import { forgetIndex, indexOf, latestIndex, useIndex } from './latest-index.js';
import {
  type InstalledPackage,
  MAX_OWNERS,
  type Package,
  type PackageDatabase,
} from './package.js';
import { PathIndex, type PathLists } from './path-index.js';
import { dpkgRelations } from './relations.js';
import { type Stanza, stanzas } from './stanzas.js';
import { StatusTable } from './status-table.js';

const DATABASE = '/var/lib/dpkg';
/** The maximum size in bytes of most lists; only those of the largest packages are larger. */
const USUAL_LIST = 1 << 20;
/** The facts with which a database is opened. */
interface Opened {
  readonly sysroot: Sysroot;
  /** The path of the status file, without links; undefined if there is none. */
  readonly status: string | undefined;
  /** Files of status.d, by package name. */
  readonly parts: ReadonlyMap<string, string>;
  /**
   * Identifies the state of the database, which changes with each installation; undefined if no
   * index is kept.
   */
  readonly state: string | undefined;
}

/**
 * The packages of dpkg's status file and file lists (dpkg(1), "FILES"), and of status.d, which
 * images without a package manager contain. Diverted files belong to the package for which or from
 * which they were diverted (dpkg-divert(1)).
 */
export class DpkgDatabase implements PackageDatabase {
  readonly #sysroot: Sysroot;
  readonly #statusPath: string | undefined;
  readonly #parts: ReadonlyMap<string, string>;
  readonly #state: string | undefined;
  /** By name, the native architecture first. */
  readonly #packages = new Map<string, InstalledPackage[]>();
  readonly #listOf = new Map<InstalledPackage, string>();
  readonly #files = new Map<InstalledPackage, readonly string[]>();
  #isKeptRead = false;
  #lists: ReadonlySet<string> | undefined;
  #bytes: Buffer | undefined;
  #table: StatusTable | undefined;
  #index: PathLists | undefined;
  #diversions: Diversions | undefined;

  private constructor({ sysroot, status, parts, state }: Opened) {
    this.#sysroot = sysroot;
    this.#statusPath = status;
    this.#parts = parts;
    this.#state = state;
  }

  /**
   * Opens the database of a sysroot.
   *
   * @returns undefined if there is none, and a sentence if it cannot be used
   */
  static open(sysroot: Sysroot): DpkgDatabase | string | undefined {
    const found = sysroot.trace(`${DATABASE}/status`);
    const status = isTrace(found) && found.stat.type === 'file' ? found.path : undefined;
    const parts = new Map<string, string>();
    for (const part of namesIn(sysroot, `${DATABASE}/status.d`)) {
      if (part.endsWith('.md5sums')) continue;
      const text = readIfThere(sysroot, `${DATABASE}/status.d/${part}`) ?? '';
      const name = stanzas(text).next().value?.get('package');
      if (name !== undefined) parts.set(name, part);
    }
    if (status === undefined && parts.size === 0) return undefined;
    const isKept = status !== undefined && sysroot.prefix === '' && parts.size === 0;
    const state = isKept ? stateOf(found, sysroot.trace(`${DATABASE}/info`)) : undefined;
    const database = new DpkgDatabase({ sysroot, status, parts, state });
    if (
      status !== undefined &&
      !beginsWithPackage(sysroot, status) &&
      isDamaged(database.#status())
    ) {
      return `${DATABASE}/status: is damaged: its packages are ignored`;
    }
    return database;
  }

  get stamps(): readonly string[] | undefined {
    if (this.#statusPath === undefined || this.#parts.size > 0) return undefined;
    // dpkg replaces these files, and the status file with each change of a list.
    const files = ['status', 'status.d', 'info', 'diversions', 'arch'];
    return [...files.map((name) => `${DATABASE}/${name}`), ...TOP_LINKS];
  }

  names(): readonly string[] {
    const names = new Set(this.#parts.keys());
    for (const name of this.#stanzas().names()) {
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
    return this.#stanzas()
      .providersOf(capability)
      .flatMap((name) => this.find(name) ?? []);
  }

  filesOf(installed: InstalledPackage): readonly string[] | undefined {
    const known = this.#files.get(installed);
    if (known !== undefined) return known;
    const list = this.#findList(installed);
    if (list === undefined) return undefined;
    const files: string[] = [];
    for (const listed of this.#read(list).toString('utf8').split('\n')) {
      if (listed.startsWith('/') && listed !== '/.') files.push(this.#placeOf(listed, installed));
    }
    this.#files.set(installed, files);
    return files;
  }

  ownersOf(paths: readonly string[]): ReadonlyMap<string, readonly InstalledPackage[]> {
    const owners = new Map<string, InstalledPackage[]>();
    if (paths.length === 0) return owners;
    const { back } = this.#diverted();
    for (const [name, path] of databaseNames(this.#sysroot, paths)) {
      const listed = back.get(name) ?? name;
      const lists = this.#listsOf(listed);
      if (lists.length > MAX_OWNERS) continue;
      for (const list of lists) {
        const owner = this.#ownerBy(list);
        if (owner === undefined) continue;
        if (this.#placeOf(listed, owner) !== name) continue;
        const known = owners.get(path) ?? [];
        if (!known.includes(owner)) owners.set(path, [...known, owner]);
      }
    }
    return owners;
  }

  installationOf({ name, architecture }: InstalledPackage): string {
    // Packages that may be installed for several architectures have the suffix (dpkg-query(1)).
    for (const file of [`${name}:${architecture}`, name]) {
      const script = readIfThere(this.#sysroot, `${DATABASE}/info/${file}.postinst`);
      if (script !== undefined) return script;
    }
    return '';
  }

  dependentsOf({ name }: InstalledPackage): readonly InstalledPackage[] {
    const isDependent = ({ depends }: InstalledPackage) =>
      depends.some((alternatives) => alternatives.includes(name));
    return packagesNaming(this.#status(), name)
      .flatMap((other) => this.find(other) ?? [])
      .filter(isDependent);
  }

  essentials(): readonly InstalledPackage[] {
    return this.#stanzas()
      .essentials()
      .flatMap((name) => this.find(name) ?? []);
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
    for (const { start, end } of this.#stanzas().placesOf(name)) {
      const [stanza] = stanzas(this.#status().toString('utf8', start, end));
      if (stanza !== undefined && isPresent(stanza)) found.push(stanza);
    }
    return found;
  }

  /** The status file; kept as bytes, since most of it is never decoded. */
  #status(): Buffer {
    if (this.#bytes === undefined) {
      const path = this.#statusPath;
      this.#bytes = path === undefined ? Buffer.alloc(0) : readBytes(this.#sysroot, path);
    }
    return this.#bytes;
  }

  #stanzas(): StatusTable {
    this.#readKept();
    this.#table ??= StatusTable.of(this.#status(), (field) => dpkgRelations(field).flat());
    return this.#table;
  }

  /** Most requests are answered without the index; reading it takes a millisecond. */
  #readKept(): void {
    if (this.#isKeptRead) return;
    this.#isKeptRead = true;
    const kept = this.#state === undefined ? undefined : indexOf(this.#state);
    this.#table = kept?.status;
    this.#index = kept?.paths;
  }

  #findList(installed: InstalledPackage): string | undefined {
    const { name, architecture } = installed;
    let list = this.#listOf.get(installed);
    if (list === undefined) {
      list = [`${name}:${architecture}.list`, `${name}.list`].find((file) => this.#hasList(file));
      if (list !== undefined) this.#listOf.set(installed, list);
    }
    return list;
  }

  #hasList(file: string): boolean {
    this.#readKept();
    if (this.#index === undefined) {
      return isTrace(this.#sysroot.trace(`${DATABASE}/info/${file}`));
    }
    this.#lists ??= new Set(this.#index.lists);
    return this.#lists.has(file);
  }

  #ownerBy(list: string): InstalledPackage | undefined {
    const name = list.endsWith('.md5sums')
      ? [...this.#parts].find(([, part]) => `${part}.md5sums` === list)?.[0]
      : list.replace(/\.list$/, '');
    return name === undefined ? undefined : this.find(name);
  }

  /** Returns where a file of a package's list really is. */
  #placeOf(listed: string, { name }: InstalledPackage): string {
    const diverted = this.#diverted().to.get(listed);
    return diverted === undefined || diverted.by === name ? listed : diverted.to;
  }

  #read(list: string): Buffer {
    if (!list.endsWith('.md5sums')) {
      return readBytes(this.#sysroot, `${DATABASE}/info/${list}`);
    }
    const sums = readIfThere(this.#sysroot, `${DATABASE}/status.d/${list}`) ?? '';
    return Buffer.from(sums.replace(/^[0-9a-f]{32}\s+\.?\/?/gm, '/'));
  }

  #listsOf(listed: string): string[] {
    const index = this.#paths();
    const lists = index.listsOf(listed);
    if (lists !== undefined) return lists;
    forgetIndex(index);
    this.#index = undefined;
    return this.#paths().listsOf(listed) ?? [];
  }

  /**
   * Returns the index of lists. For the host's own root it is cached, since building it takes 0.1
   * s.
   */
  #paths(): PathLists {
    this.#readKept();
    if (this.#index !== undefined) return this.#index;
    // Another database of this process may have built it.
    this.#index = this.#state === undefined ? undefined : latestIndex(this.#state)?.paths;
    if (this.#index !== undefined) return this.#index;
    const info = this.#sysroot.trace(`${DATABASE}/info`);
    // The state covers the index: dpkg writes the status file with each change of a list.
    const { probe } = this.#sysroot;
    const names = isTrace(info) ? probe.names(info.path) : [];
    const lists = names.filter((name) => name.endsWith('.list'));
    const parts = [...this.#parts.values()].map((part) => `${part}.md5sums`);
    const buffer = Buffer.allocUnsafe(USUAL_LIST);
    const built = PathIndex.of([...lists, ...parts], (list) =>
      list.endsWith('.list') && isTrace(info)
        ? readQuietly(probe, `${info.path}/${list}`, buffer)
        : this.#read(list),
    );
    this.#index = built;
    if (this.#state !== undefined) {
      const index = { status: this.#stanzas(), paths: built };
      useIndex(this.#state, index);
      keepIndex(this.#state, index);
    }
    return built;
  }

  #diverted(): Diversions {
    this.#diversions ??= readDiversions(readIfThere(this.#sysroot, `${DATABASE}/diversions`) ?? '');
    return this.#diversions;
  }
}

const FIRST = Buffer.from('Package: ');

/** Returns whether a status file begins as most do, which takes less time than searching it. */
function beginsWithPackage(sysroot: Sysroot, status: string): boolean {
  return sysroot.readStart({ path: status }, Buffer.alloc(FIRST.length)).equals(FIRST);
}

/**
 * Identifies a state of the database: both change with each installation, since dpkg replaces lists
 * and the status file, and never writes them in place.
 */
function stateOf(status: Trace | TraceFailure, info: Trace | TraceFailure): string | undefined {
  if (!isTrace(status) || !isTrace(info)) return undefined;
  const parts = [status.stat, info.stat].map(({ identity, mtimeNs, size }) => {
    return `${identity} ${mtimeNs} ${size}`;
  });
  return parts.join(' ');
}

function readBytes(sysroot: Sysroot, path: string): Buffer {
  const found = sysroot.trace(path);
  if (!isTrace(found) || found.stat.type !== 'file') return Buffer.alloc(0);
  return readAt(sysroot, found.path);
}

/**
 * Reads a file without links on the way; empty if it is not a readable file.
 *
 * @param buffer is overwritten, unless the file is larger
 */
function readQuietly(sysroot: Sysroot, path: string, buffer: Buffer): Buffer {
  try {
    const start = sysroot.readStart({ path }, buffer);
    return start.length < buffer.length ? start : readAt(sysroot, path);
  } catch (error) {
    if (!(error instanceof JailbuildError)) throw error;
    return Buffer.alloc(0);
  }
}

function readAt(sysroot: Sysroot, path: string): Buffer {
  const reader = sysroot.openAt(path);
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
