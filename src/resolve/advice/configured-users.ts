import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';

/** A user of the host that a configuration names, or that was created for a program. */
export interface ConfiguredUser {
  readonly name: string;
  /** The program or file that names it. */
  readonly by: string;
}

/** Matches configuration lines that set the user of a server. */
const USER_LINE =
  /^\s*(?:user|User|USER|run_as|username)\s*[\s=:]\s*["']?([a-z_][a-z0-9_-]{0,31})["']?\s*[;\s]?/m;
/** The maximum size of a configuration file in bytes. */
const MAX_SIZE = 256 << 10;
/** The highest number of service users (Debian policy, 9.2.2; login.defs(5), SYS_UID_MAX). */
const LAST_SERVICE = 999;
const LOOKS_UP = /^(getpw|getgr|initgroups)/;
const BY_NAME = /^(getpwnam|getgrnam|initgroups)/;

interface ServiceUser {
  readonly name: string;
  readonly home: string;
}

/** Where users are configured: the sysroot, its packages, and its users of services, read once. */
export class ServiceHost {
  readonly probe: Sysroot;
  readonly database: PackageDatabase | undefined;
  #users: readonly ServiceUser[] | undefined;

  constructor(probe: Sysroot, database: PackageDatabase | undefined) {
    this.probe = probe;
    this.database = database;
  }

  get users(): readonly ServiceUser[] {
    this.#users ??= serviceUsers(this.probe);
    return this.#users;
  }
}

/**
 * Returns the users that programs look up and that the host has: those named in configuration files
 * of their packages, and those created for them, with the program's name or with a home that
 * belongs to the package.
 *
 * @param name the program's name
 * @param imports functions of the C library that it calls
 */
export function configuredUsers(
  host: ServiceHost,
  owners: readonly InstalledPackage[],
  name: string,
  imports: readonly string[],
): ConfiguredUser[] {
  if (!imports.some((item) => LOOKS_UP.test(item))) return [];
  // No users are made for what every system has.
  if (owners.length > 0 && owners.every(({ isEssential }) => isEssential)) return [];
  const { probe, database, users: services } = host;
  const found = services
    .filter((user) => user.name === name)
    .map((user) => ({ name: user.name, by: name }));
  if (database === undefined) return found;
  const homes = services.filter(({ name: user, home }) => {
    const service = baseName(home);
    return user !== name && isPrivate(home) && owners.some((own) => own.name.startsWith(service));
  });
  const related = new Set([...owners, ...owners.flatMap((owner) => dependedOn(database, owner))]);
  const owned = database.ownersOf(homes.map(({ home }) => home));
  for (const { name: user, home } of homes) {
    if (owned.get(home)?.some((owner) => related.has(owner))) found.push({ name: user, by: name });
  }
  if (!imports.some((item) => BY_NAME.test(item))) return unique(found);
  const near = new Set(owners.map(sourceOf));
  for (const other of related) {
    if (!near.has(sourceOf(other))) continue;
    for (const file of database.filesOf(other) ?? []) {
      const user = file.startsWith('/etc/') ? userIn(probe, file) : undefined;
      if (user !== undefined && services.some((service) => service.name === user)) {
        found.push({ name: user, by: file });
      }
    }
  }
  return unique(found);
}

function dependedOn(database: PackageDatabase, owner: InstalledPackage): InstalledPackage[] {
  if (owner.isEssential) return [];
  return owner.depends.flat().flatMap((name) => database.find(name) ?? []);
}

function unique(users: readonly ConfiguredUser[]): ConfiguredUser[] {
  return [...new Map(users.map((user) => [user.name, user])).values()];
}

/** Returns whether a home belongs to a single service. */
function isPrivate(home: string): boolean {
  return /^\/(var\/lib|var\/cache|var\/spool|run|srv)\/./.test(home);
}

function userIn(probe: Sysroot, file: string): string | undefined {
  const trace = probe.trace(file);
  if (!isTrace(trace) || trace.stat.type !== 'file' || trace.stat.size > MAX_SIZE) return undefined;
  if ((trace.stat.mode & 0o004) === 0 || (trace.stat.mode & 0o111) !== 0) return undefined;
  return USER_LINE.exec(probe.readText(trace))?.[1];
}

function serviceUsers(probe: Sysroot): ServiceUser[] {
  const trace = probe.trace('/etc/passwd');
  if (!isTrace(trace) || trace.stat.type !== 'file') return [];
  return probe
    .readText(trace)
    .split('\n')
    .flatMap((line) => {
      const [name = '', , uid, , , home = ''] = line.split(':');
      const number = Number(uid);
      return name !== '' && number > 0 && number <= LAST_SERVICE ? [{ name, home }] : [];
    });
}
