import path from 'node:path';
import { errnoText, JailbuildError } from '../errors.js';
import { pathBuffer } from '../fs/path-bytes.js';
import { isTrace, type Trace, type TraceFailure } from '../fs/sysroot.js';
import type { Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import { type Additions, needsAdditions, type Resolution } from '../resolve/additions.js';
import type { MadeFile } from '../resolve/file-collection.js';
import { lookUpProgram } from '../resolve/find-program.js';
import { addTracedFiles } from '../resolve/traced-files.js';
import { AccountDatabase, JailAccounts, type User } from './accounts.js';
import { takeOut } from './exclude.js';
import { glob, type Match, matcher } from './glob.js';
import { includedTrees, includeMatches, PlacedIncludes } from './includes.js';
import { loadProfiles } from './load.js';
import type {
  Alternatives,
  DeviceSpec,
  DirectorySpec,
  FileSpec,
  LinkSpec,
  Profile,
  ProgramSpec,
  UserSpec,
} from './profile.js';
import { environmentOf, withSettings } from './settings.js';

/** Placeholder home directories, never created. */
const NO_HOME = new Set(['/', '/nonexistent', '/dev/null', '/var/empty']);

/**
 * Homes of services that the system makes at each start: sshd(8) requires that root owns /run/sshd.
 */
const RUN_TIME = /^(\/var)?\/run\/./;

/** The mode of new home directories (HOME_MODE of login.defs(5)). */
const HOME_MODE = 0o700;

/**
 * The maximum size in bytes of a file copied by `follow`; configuration files have a few kilobytes.
 */
const MAX_FOLLOWED = 1 << 20;

/**
 * Loads the profiles, users, includes and excludes of a request.
 *
 * @returns undefined for a request without any
 * @throws JailbuildError PROFILE_NOT_FOUND, PROFILE_INVALID
 */
export function additionsOf(request: ResolveRequest): Additions | undefined {
  const { profiles = [], users = [], include = [], exclude = [] } = request;
  if (!needsAdditions(request)) return undefined;
  const loaded = loadProfiles(profiles);
  return {
    request: withSettings(request, loaded),
    places: loaded.length > 0 || users.length > 0 || include.some(({ to }) => to !== undefined),
    environment: environmentOf(loaded),
    trees: (sources) => includedTrees(sources, request),
    addTo: (resolution) => new Expansion(resolution, request, loaded).run(),
    takeOut: (resolution) => takeOut(resolution, exclude),
  };
}

/** Applies the profiles, users and includes of a request once. */
class Expansion {
  readonly #resolution: Resolution;
  readonly #request: ResolveRequest;
  readonly #profiles: readonly Profile[];
  readonly #accounts: JailAccounts;
  readonly #made: { readonly uid: 0; readonly gid: 0; readonly mtimeNs: bigint };
  readonly #warnings: string[] = [];

  constructor(resolution: Resolution, request: ResolveRequest, profiles: readonly Profile[]) {
    this.#resolution = resolution;
    this.#request = request;
    this.#profiles = profiles;
    const database = new AccountDatabase(resolution.sysroot);
    this.#accounts = new JailAccounts(database);
    this.#made = { uid: 0, gid: 0, mtimeNs: database.mtimeNs };
  }

  run(): string[] {
    for (const profile of this.#profiles) this.#addAccounts(profile);
    for (const user of this.#request.users ?? []) this.#accounts.addUser(user);
    // Generated files come first, since the resolver reads nsswitch.conf for the programs.
    for (const profile of this.#profiles) this.#makeFiles(profile);
    // So do files placed elsewhere, which programs must find there.
    const { include = [] } = this.#request;
    const placed = new PlacedIncludes(this.#resolution);
    for (const { from, to } of include) if (to !== undefined) placed.place({ from, to });
    const programs = new Map<string, Trace>();
    for (const profile of this.#profiles) {
      for (const spec of profile.programs ?? []) this.#addProgram(profile, spec, programs);
    }
    if (this.#profiles.some((profile) => profile['user-shells'])) this.#addShells();
    for (const profile of this.#profiles) this.#addFiles(profile, programs);
    for (const { from, to } of include) if (to === undefined) this.#addInclude(from);
    this.#warnings.push(...placed.resolve());
    for (const directory of this.#request.directories ?? []) this.#addDirectory(directory);
    this.#warnings.push(...addTracedFiles(this.#resolution, this.#request));
    this.#writeAccounts();
    return this.#warnings;
  }

  #addAccounts(profile: Profile): void {
    for (const spec of profile.users ?? []) {
      const { name, optional, uid, gid, ...rest }: UserSpec =
        typeof spec === 'string' ? { name: spec } : spec;
      const names = [name].flat();
      const found = names.find((item) => this.#accounts.uidOf(item) !== undefined);
      if (found !== undefined) {
        this.#accounts.addUser({ ...rest, name: found });
      } else if (uid !== undefined) {
        this.#accounts.addUser({ ...rest, name: names[0] ?? '', uid, gid: gid ?? uid });
      } else if (!optional) {
        throw unmet(profile, `no user ${names.join(' or ')} in the sysroot's /etc/passwd`, name);
      }
    }
    for (const group of profile.groups ?? []) {
      if (this.#accounts.hasGroup(group)) this.#accounts.addGroup(group);
    }
  }

  #addProgram(profile: Profile, spec: string | ProgramSpec, found: Map<string, Trace>): void {
    const { sysroot, programs, searchPath } = this.#resolution;
    const { name, optional }: ProgramSpec = typeof spec === 'string' ? { name: spec } : spec;
    // Standard directories precede PATH, so that a profile means the same for every caller.
    const directories = [...STANDARD_PATH, ...searchPath];
    const candidates = [name]
      .flat()
      .flatMap((item) =>
        item.startsWith('/') ? glob(sysroot, item).map(({ path }) => path) : [item],
      );
    for (const candidate of candidates) {
      const trace = lookUpProgram(sysroot, candidate, directories);
      if (trace === undefined) continue;
      programs.addWithReason(trace, { kind: 'profile', name: profile.name, as: candidate });
      found.set(path.basename(candidate), trace);
      return;
    }
    if (!optional) throw unmet(profile, `no program ${[name].flat().join(' or ')}`, name);
  }

  #addShells(): void {
    const { sysroot, programs } = this.#resolution;
    for (const { name, shell } of this.#accounts.users) {
      if (name === 'root') continue;
      const trace = lookUpProgram(sysroot, shell, []);
      if (trace === undefined) {
        this.#warnings.push(`${shell}, the login shell of ${name}, is not in the sysroot`);
      } else {
        programs.addWithReason(trace, { kind: 'account', name, as: shell });
      }
    }
  }

  #addFiles(profile: Profile, programs: ReadonlyMap<string, Trace>): void {
    const reason: Reason = { kind: 'profile', name: profile.name };
    for (const spec of filesOf(profile)) {
      if (spec.content === undefined) this.#addFile(profile, spec, programs, reason);
    }
  }

  #makeFiles(profile: Profile): void {
    const reason: Reason = { kind: 'profile', name: profile.name };
    for (const spec of profile.directories ?? []) {
      this.#makeDirectory(typeof spec === 'string' ? { path: spec } : spec, reason);
    }
    for (const spec of filesOf(profile)) {
      if (spec.content !== undefined) this.#makeFile(spec, spec.content, reason);
    }
    for (const link of profile.links ?? []) this.#makeLink(link, reason);
    for (const device of profile.devices ?? []) this.#makeDevice(device, reason);
  }

  #makeFile(spec: FileSpec, content: string, reason: Reason): void {
    const mode = octal(spec.mode, 0o644);
    this.#make(
      [spec.path].flat()[0] ?? '',
      { type: 'file', content: Buffer.from(content), mode, ...this.#owner(spec) },
      reason,
    );
  }

  #addFile(
    profile: Profile,
    spec: FileSpec,
    programs: ReadonlyMap<string, Trace>,
    reason: Reason,
  ): void {
    const { sysroot } = this.#resolution;
    const except = matcher(spec.except ?? [], { dot: true, matchBase: true });
    let any = false;
    for (const alternative of [spec.path].flat()) {
      const pattern = withVariables(alternative, programs);
      const matches = pattern === undefined ? [] : glob(sysroot, pattern);
      for (const match of matches) {
        any = true;
        if (spec.follow) this.#addFollowed(match, reason);
        else this.#addMatch(match, reason, except);
      }
      if (any && !spec.all) break;
    }
    if (!any && !spec.optional) {
      throw unmet(profile, `nothing is at ${[spec.path].flat().join(' or ')}`, spec.path);
    }
  }

  #addMatch({ path, trace }: Match, reason: Reason, except: (path: string) => boolean): void {
    if (except(path)) return;
    const { files } = this.#resolution;
    if (trace.stat.type === 'directory') {
      files.add(trace, reason);
      this.#addBelow(trace, reason, except);
    } else if (this.#isSocket(path, trace)) {
      return;
    } else {
      files.add(trace, reason);
      if (trace.stat.type === 'file') this.#addNeeds(trace, reason);
    }
  }

  /**
   * Adds the dependencies of a file. Profiles list the programs that their scripts need; includes
   * do not.
   */
  #addNeeds(trace: Trace, reason: Reason): void {
    const { programs } = this.#resolution;
    if (reason.kind === 'included') programs.addRunnable(trace);
    else programs.addObject(trace);
  }

  #addBelow(directory: Trace, reason: Reason, except: (path: string) => boolean): void {
    const { sysroot, files } = this.#resolution;
    for (const name of sysroot.list(directory)) {
      const path = `${directory.path === '/' ? '' : directory.path}/${name}`;
      if (except(path)) continue;
      const trace = sysroot.trace(path);
      if (!isTrace(trace)) {
        this.#addUnreached(path, trace, reason);
        continue;
      }
      if (this.#isSocket(path, trace)) continue;
      const { type } = trace.stat;
      files.add(trace, reason);
      if (type === 'file') this.#addNeeds(trace, reason);
      // The target of a link is not below this directory.
      else if (type === 'directory' && trace.links.length === 0) {
        this.#addBelow(trace, reason, except);
      }
    }
  }

  /**
   * Returns whether a file is a socket, with a warning: servers create the sockets that they listen
   * on.
   */
  #isSocket(path: string, { stat }: Trace): boolean {
    if (stat.type === 'socket') this.#warnings.push(`${path}: is a socket: left out`);
    return stat.type === 'socket';
  }

  /** Adds a name in a directory that cannot be looked up: a link is kept unchanged. */
  #addUnreached(path: string, { errno, at }: TraceFailure, reason: Reason): void {
    const { sysroot, files } = this.#resolution;
    if (sysroot.typeOf(path) !== 'symlink') {
      this.#warnings.push(`${path}: ${errnoText(errno)}: left out`);
      return;
    }
    files.addLink(path, reason);
    if (errno === 'EACCES') {
      this.#warnings.push(
        `${at}: is a symbolic link that others can change, to a file that is not world-readable: kept without its target`,
      );
    }
  }

  /** Adds a regular file at a path with the content of its target. */
  #addFollowed({ path, trace }: Match, reason: Reason): void {
    const { sysroot } = this.#resolution;
    const { type, size, mode, uid, gid, mtimeNs } = trace.stat;
    if (type !== 'file') return;
    if (size > MAX_FOLLOWED) {
      throw new JailbuildError(
        'NOT_READABLE',
        `${path}: is larger than ${MAX_FOLLOWED} bytes`,
        path,
      );
    }
    const reader = sysroot.open(trace);
    try {
      const content = reader.read(0, reader.size);
      this.#make(path, { type: 'file', content, mode, uid, gid, mtimeNs }, reason);
    } finally {
      reader.close();
    }
  }

  #addInclude(from: string): void {
    const reason: Reason = { kind: 'included', as: from };
    for (const match of includeMatches(this.#resolution, from)) {
      this.#addMatch(match, reason, () => false);
    }
  }

  /** Adds a directory of the sysroot without its content. */
  #addDirectory(from: string): void {
    const { sysroot, files, cwd } = this.#resolution;
    const found = sysroot.trace(path.posix.resolve(cwd, from));
    if (!isTrace(found) || found.stat.type !== 'directory') {
      throw new JailbuildError('INCLUDE_NOT_FOUND', `${from}: is not a directory`, from);
    }
    if (found.path !== '/') files.add(found, { kind: 'directory', name: from });
  }

  #writeAccounts(): void {
    if (this.#accounts.isEmpty) return;
    const { files } = this.#resolution;
    const [first, ...others] = this.#accounts.users;
    const named = [first, ...others].flatMap((user) => user?.name ?? []);
    const reason = (name: string): Reason => ({ kind: 'account', name });
    for (const [file, text] of [
      ['/etc/passwd', this.#accounts.passwd()],
      ['/etc/group', this.#accounts.group()],
    ] as const) {
      const at = this.#make(
        file,
        { type: 'file', content: pathBuffer(text), mode: 0o644 },
        reason(named[0] ?? 'root'),
      );
      for (const name of named.slice(1)) files.addReason(at, reason(name));
    }
    for (const user of this.#accounts.users) this.#makeHome(user, reason(user.name));
  }

  /** Adds a home directory as in the sysroot, without its content, or a new one. */
  #makeHome({ home, uid, gid }: User, reason: Reason): void {
    const { sysroot, files } = this.#resolution;
    if (!home.startsWith('/') || NO_HOME.has(home)) return;
    const trace = sysroot.trace(home);
    if (isTrace(trace)) {
      if (trace.stat.type === 'directory' && trace.path !== '/') files.add(trace, reason);
      return;
    }
    if (files.has(home)) return;
    const owned = RUN_TIME.test(home)
      ? { mode: 0o755, uid: 0, gid: 0 }
      : { mode: HOME_MODE, uid, gid };
    this.#make(home, { type: 'directory', ...owned }, reason);
  }

  #makeDirectory(spec: DirectorySpec, reason: Reason): void {
    this.#make(
      spec.path,
      { type: 'directory', mode: octal(spec.mode, 0o755), ...this.#owner(spec) },
      reason,
    );
  }

  #makeLink({ path, target }: LinkSpec, reason: Reason): void {
    this.#make(path, { type: 'symlink', mode: 0o777, target }, reason);
  }

  #makeDevice(spec: DeviceSpec, reason: Reason): void {
    const type = spec.type === 'fifo' ? 'fifo' : (`${spec.type}-device` as const);
    const { major = 0, minor = 0 } = spec;
    this.#make(
      spec.path,
      {
        type,
        mode: octal(spec.mode, 0o666),
        ...(type === 'fifo' ? {} : { device: { major, minor } }),
        ...this.#owner(spec),
      },
      reason,
    );
  }

  #make(
    path: string,
    made: Partial<MadeFile> & Pick<MadeFile, 'type' | 'mode'>,
    reason: Reason,
  ): string {
    return this.#resolution.files.addMade(jailPath(path), { ...this.#made, ...made }, reason);
  }

  #owner({ path, owner, group }: Owned): { uid: number; gid: number } {
    const id = (
      of: Alternatives | number | undefined,
      what: string,
      look: (name: string) => number | undefined,
    ): number => {
      if (typeof of === 'number') return of;
      const names = [of ?? []].flat();
      for (const name of names) {
        const found = look(name);
        if (found !== undefined) return found;
      }
      if (names.length > 0) {
        const [at = ''] = [path].flat();
        this.#warnings.push(`${at}: no ${what} ${names.join(' or ')} exists: its owner is root`);
      }
      return 0;
    };
    return {
      uid: id(owner, 'user', (name) => this.#accounts.uidOf(name)),
      gid: id(group, 'group', (name) => this.#accounts.gidOf(name)),
    };
  }
}

/** A made file and its owners. */
type Owned = Pick<FileSpec, 'path' | 'owner' | 'group'>;

/**
 * Replaces `${NAME:prefix}` and `${NAME:base}` in a pattern; undefined if the program was not
 * found.
 */
function withVariables(pattern: string, programs: ReadonlyMap<string, Trace>): string | undefined {
  let known = true;
  const filled = pattern.replace(
    /\$\{([^:}]+):(prefix|base)\}/g,
    (_, name: string, what: string) => {
      const trace = programs.get(name);
      if (trace === undefined) known = false;
      const at = trace?.path ?? '/';
      return what === 'base' ? path.basename(at) : path.dirname(path.dirname(at));
    },
  );
  return known ? path.posix.normalize(filled) : undefined;
}

function filesOf({ files = [] }: Profile): FileSpec[] {
  return files.map((spec) => (typeof spec === 'string' ? { path: spec } : spec));
}

function octal(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : Number.parseInt(text, 8);
}

function unmet({ name, path }: Profile, what: string, subject: Alternatives): JailbuildError {
  return new JailbuildError(
    'PROFILE_UNMET',
    `profile ${name}: ${what}`,
    [subject].flat()[0] ?? path,
  );
}

/**
 * Returns a path of the jail without `.`, `..` and redundant slashes; `..` at its root stays there.
 */
function jailPath(text: string): string {
  const plain = path.posix.normalize(text).replace(/(?<=.)\/$/, '');
  if (plain.startsWith('/') && plain !== '/' && !plain.includes('\0')) return plain;
  throw new JailbuildError(
    'PROFILE_INVALID',
    `${JSON.stringify(text)}: is not a path in a jail`,
    text,
  );
}
