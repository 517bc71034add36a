import {
  type InstalledPackage,
  type PackageDatabase,
  sourceOf,
} from '../../evidence/packages/package.js';
import { isTrace, type Sysroot, type Trace } from '../../fs/sysroot.js';
import { baseName } from '../../text/base-name.js';
import type { FileCollection } from '../file-collection.js';
import type { FoundProgram } from '../find-program.js';
import type { ReadFile } from '../originals.js';

/** A user of the host that a configuration names, or that was created for a program. */
export interface ConfiguredUser {
  readonly name: string;
  /** The program or file that names it. */
  readonly by: string;
}

/**
 * Matches configuration lines that set the user of a server, as a field, a variable of the shell, or an
 * option on a line of its own.
 */
const USER_LINE =
  /^\s*(?:(?:export\s+)?(?:[A-Z]\w*_)?(?:user|User|USER|run_as|username)\s*[\s=:]|-u\b)\s*["']?([a-z_][a-z0-9_-]{0,31})["']?\s*[;\s]?/gm;
/** What packages put before the name of a service, so that it is not the name of a person. */
const SERVICE_PREFIX = /^(_|[Dd]ebian-)/;
/** The maximum size of a configuration file in bytes. */
const MAX_SIZE = 256 << 10;
/** The highest number of service users (Debian policy, 9.2.2; login.defs(5), SYS_UID_MAX). */
const LAST_SERVICE = 999;
const LOOKS_UP = /^(getpw|getgr|initgroups)/;
const BY_NAME = /^(getpwnam|getgrnam|initgroups)/;

/** Matches a command that makes a user. */
const MAKES_USER = /\b(adduser|useradd)\s/;
/** Matches a line with a variable for the name of a user. */
const SETS_USER = /USER\w*[:=]/;
/** Every system has the users below, some of which have the names of things: mail, games. */
const FIRST_MADE = 100;
/** Matches a command that gives files to a user, and the user: chown(1), dpkg-statoverride(1), install(1). */
const GIVES_FILES =
  /\b(?:chown(?:\s+-{1,2}[\w-]+)*|dpkg-statoverride\s[^\n]*--add|install\s(?:[^\n]*\s)?(?:-o|--owner[ =]))\s*["']?([A-Za-z_][\w-]*)/g;

/** Matches a chown(1) to a user whose name is in a variable. */
const GIVES_BY_VARIABLE = /\bchown(?:\s+-{1,2}[\w-]+)*\s+["']?\$\{?(\w+)/g;

interface ServiceUser {
  readonly name: string;
  readonly uid: number;
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

/** What is known of the programs of a jail. */
export interface KnownPrograms {
  /** Returns the paths of the commands that a script runs. */
  runBy(script: string, kind: 'command'): readonly string[];
  read(program: Trace): ReadFile;
}

/**
 * Returns the users of a program that look-ups of it, or of the commands that a script runs, may ask
 * for: see {@link configuredUsers}.
 */
export function usersOf(
  host: ServiceHost,
  programs: KnownPrograms,
  { as, trace }: FoundProgram,
  owners: readonly InstalledPackage[],
): ConfiguredUser[] {
  const calledBy = (program: Trace) => programs.read(program).facts?.imports ?? [];
  const commands = programs.runBy(trace.path, 'command').map((path) => host.probe.trace(path));
  const called = [trace, ...commands.filter(isTrace)].flatMap(calledBy);
  return configuredUsers(host, owners, baseName(as), called);
}

/** Returns whether a jail has a user; one whose accounts are copied has all of the host's. */
export function hasUser(files: FileCollection, name: string): boolean {
  const passwd = files.contentOf('/etc/passwd');
  if (passwd === undefined) return files.has('/etc/passwd');
  return passwd
    .toString('latin1')
    .split('\n')
    .some((line) => line.startsWith(`${name}:`));
}

/**
 * Returns the users that programs look up and that the host has: those named in configuration files
 * of their packages, those that the installation of their packages made, and those created for them,
 * with the program's name or with a home that belongs to the package.
 *
 * @param name the program's name
 * @param imports functions of the C library that it calls
 */
function configuredUsers(
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
    .filter((user) => isNamedAfter(user.name, name))
    .map((user) => ({ name: user.name, by: name }));
  if (database === undefined) return found;
  const homes = services.filter(({ name: user, home }) => {
    const service = baseName(home);
    return (
      !isNamedAfter(user, name) &&
      isPrivate(home) &&
      owners.some((own) => own.name.startsWith(service))
    );
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
    const script = database.installationOf(other).replaceAll('\\\n', ' ');
    for (const user of [...usersMadeBy(script, services), ...usersGivenFiles(script, services)]) {
      found.push({ name: user, by: name });
    }
    for (const file of database.filesOf(other) ?? []) {
      if (!file.startsWith('/etc/')) continue;
      const users = usersIn(probe, file);
      const user = services.find((service) => users.has(service.name));
      if (user !== undefined) found.push({ name: user.name, by: file });
    }
  }
  return unique(found);
}

/** Returns the users of services that the script of an installation makes. */
function usersMadeBy(script: string, services: readonly ServiceUser[]): string[] {
  if (!MAKES_USER.test(script)) return [];
  const lines = script.split('\n').filter((line) => MAKES_USER.test(line) || SETS_USER.test(line));
  const words = new Set(lines.join('\n').match(/[A-Za-z_][\w-]*/g) ?? []);
  return services
    .filter(({ name, uid }) => uid >= FIRST_MADE && words.has(name))
    .map(({ name }) => name);
}

/** Returns the users of services to whom the script of an installation gives files. */
function usersGivenFiles(script: string, services: readonly ServiceUser[]): string[] {
  const given = new Set([...script.matchAll(GIVES_FILES)].map(([, user]) => user));
  for (const [, variable = ''] of script.matchAll(GIVES_BY_VARIABLE)) {
    const assigned = script.matchAll(new RegExp(`^\\s*${variable}=(.*)`, 'gm'));
    for (const [, value = ''] of assigned) {
      for (const word of value.match(/[A-Za-z_][\w-]*/g) ?? []) given.add(word);
    }
  }
  return services.filter(({ name }) => given.has(name)).map(({ name }) => name);
}

function dependedOn(database: PackageDatabase, owner: InstalledPackage): InstalledPackage[] {
  if (owner.isEssential) return [];
  return owner.depends.flat().flatMap((name) => database.find(name) ?? []);
}

function unique(users: readonly ConfiguredUser[]): ConfiguredUser[] {
  return [...new Map(users.map((user) => [user.name, user])).values()];
}

/** Returns whether a user was created for a program: `_chrony` for chronyd. */
function isNamedAfter(user: string, program: string): boolean {
  const service = user.replace(SERVICE_PREFIX, '');
  return service === program || `${service}d` === program;
}

/** Returns whether a home belongs to a single service. */
function isPrivate(home: string): boolean {
  return /^\/(var\/lib|var\/cache|var\/spool|run|srv)\/./.test(home);
}

function usersIn(probe: Sysroot, file: string): Set<string> {
  const trace = probe.trace(file);
  if (!isTrace(trace) || trace.stat.type !== 'file' || trace.stat.size > MAX_SIZE) return new Set();
  if ((trace.stat.mode & 0o004) === 0 || (trace.stat.mode & 0o111) !== 0) return new Set();
  return new Set([...probe.readText(trace).matchAll(USER_LINE)].map(([, user = '']) => user));
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
      return name !== '' && number > 0 && number <= LAST_SERVICE
        ? [{ name, uid: number, home }]
        : [];
    });
}
