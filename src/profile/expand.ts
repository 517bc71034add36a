import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { isTrace, type Trace } from '../fs/sysroot.js';
import type { AccountRequest } from '../manifest/account-request.js';
import type { Reason } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import type { Additions, Resolution } from '../resolve/additions.js';
import { lookUpProgram } from '../resolve/find-program.js';
import { addTracedFiles } from '../resolve/traced-files.js';
import { AccountDatabase, JailAccounts, type User } from './accounts.js';
import { addAccounts } from './add-accounts.js';
import { takeOut } from './exclude.js';
import { glob, matcher } from './glob.js';
import { includedTrees, includeMatches, PlacedIncludes } from './includes.js';
import { loadProfiles } from './load.js';
import { MadeEntries } from './made-entries.js';
import { MatchedFiles } from './matched-files.js';
import type { Alternatives, FileSpec, Profile, ProgramSpec, UserSpec } from './profile.js';
import { environmentOf, withSettings } from './settings.js';

/**
 * Loads the profiles, users, includes and excludes of a request.
 *
 * @throws JailbuildError PROFILE_NOT_FOUND, PROFILE_INVALID
 */
export function additionsOf(request: ResolveRequest): Additions {
  const { profiles = [], users = [], include = [], exclude = [] } = request;
  let expansion: Expansion | undefined;
  const of = (resolution: Resolution) => {
    expansion ??= new Expansion(resolution, request, loaded);
    return expansion;
  };
  const loaded = loadProfiles(profiles);
  return {
    request: withSettings(request, loaded),
    places: loaded.length > 0 || users.length > 0 || include.some(({ to }) => to !== undefined),
    environment: environmentOf(loaded),
    trees: (sources) => includedTrees(sources, request),
    addTo: (resolution) => of(resolution).run(),
    addUsers: (resolution, added) => of(resolution).addUsers(added),
    takeOut: (resolution) => takeOut(resolution, exclude),
  };
}

/** Applies the profiles, users and includes of a request once. */
class Expansion {
  readonly #resolution: Resolution;
  readonly #request: ResolveRequest;
  readonly #profiles: readonly Profile[];
  readonly #accounts: JailAccounts;
  readonly #made: MadeEntries;
  readonly #matched: MatchedFiles;
  readonly #warnings: string[] = [];

  constructor(resolution: Resolution, request: ResolveRequest, profiles: readonly Profile[]) {
    this.#resolution = resolution;
    this.#request = request;
    this.#profiles = profiles;
    const database = new AccountDatabase(resolution.sysroot);
    this.#accounts = new JailAccounts(database);
    const { files } = resolution;
    this.#made = new MadeEntries(files, this.#accounts, database.mtimeNs, this.#warnings);
    this.#matched = new MatchedFiles(resolution, this.#warnings);
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
    this.#addShells(this.#accounts.users);
    for (const profile of this.#profiles) this.#addFiles(profile, programs);
    for (const { from, to } of include) if (to === undefined) this.#addInclude(from);
    this.#warnings.push(...placed.resolve());
    for (const directory of this.#request.directories ?? []) this.#addDirectory(directory);
    this.#warnings.push(...addTracedFiles(this.#resolution, this.#request));
    addAccounts(this.#resolution, this.#accounts, this.#made, this.#accounts.users);
    return this.#warnings;
  }

  /**
   * Adds users to the accounts that are there already.
   *
   * @returns warnings
   */
  addUsers(users: readonly AccountRequest[]): string[] {
    const known = this.#warnings.length;
    const added = users.map((user) => this.#accounts.addUser(user));
    this.#addShells(added);
    addAccounts(this.#resolution, this.#accounts, this.#made, added);
    return this.#warnings.slice(known);
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

  /** Adds the login shells of users, if a profile asks for them. */
  #addShells(users: readonly User[]): void {
    if (!this.#profiles.some((profile) => profile['user-shells'])) return;
    const { sysroot, programs } = this.#resolution;
    for (const { name, shell } of users) {
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
      this.#made.makeDirectory(typeof spec === 'string' ? { path: spec } : spec, reason);
    }
    for (const spec of filesOf(profile)) {
      if (spec.content !== undefined) this.#made.makeFile(spec, spec.content, reason);
    }
    for (const link of profile.links ?? []) this.#made.makeLink(link, reason);
    for (const device of profile.devices ?? []) this.#made.makeDevice(device, reason);
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
        if (spec.follow) this.#matched.addFollowed(match, this.#made, reason);
        else this.#matched.add(match, reason, except);
      }
      if (any && !spec.all) break;
    }
    if (!any && !spec.optional) {
      throw unmet(profile, `nothing is at ${[spec.path].flat().join(' or ')}`, spec.path);
    }
  }

  #addInclude(from: string): void {
    const reason: Reason = { kind: 'included', as: from };
    for (const match of includeMatches(this.#resolution, from)) {
      this.#matched.add(match, reason, () => false);
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
}

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

function unmet({ name, path }: Profile, what: string, subject: Alternatives): JailbuildError {
  return new JailbuildError(
    'PROFILE_UNMET',
    `profile ${name}: ${what}`,
    [subject].flat()[0] ?? path,
  );
}
