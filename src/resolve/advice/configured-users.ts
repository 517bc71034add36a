import type { InstalledPackage, PackageDatabase } from '../../evidence/packages/package.js';
import { isTrace, type Sysroot } from '../../fs/sysroot.js';

/** A user of the host that a configuration names, or that was made for a program. */
export interface ConfiguredUser {
  readonly name: string;
  /** What names it. */
  readonly by: string;
}

/** Lines of configurations that say whom a server runs as. */
const USER_LINE =
  /^\s*(?:user|User|USER|run_as|username)\s*[\s=:]\s*["']?([a-z_][a-z0-9_-]{0,31})["']?\s*[;\s]?/m;
/** Configuration files are small. */
const MAX_SIZE = 256 << 10;
/** Users of services have numbers up to here (Debian policy, 9.2.2; login.defs(5), SYS_UID_MAX). */
const LAST_SERVICE = 999;
const LOOKS_UP = /^(getpw|getgr|initgroups)/;

/**
 * Returns users that programs look up and that the host has: those that the configuration files of
 * their packages name, and those that were made for them: of the program's own name, or with a home
 * that the package has.
 *
 * @param name the program's
 * @param imports functions of the C library that it calls
 */
export function configuredUsers(
  probe: Sysroot,
  database: PackageDatabase | undefined,
  owners: readonly InstalledPackage[],
  name: string,
  imports: readonly string[],
): ConfiguredUser[] {
  if (!imports.some((item) => LOOKS_UP.test(item))) return [];
  const services = serviceUsers(probe);
  const found = services
    .filter((user) => user.name === name)
    .map((user) => ({ ...user, by: name }));
  if (database === undefined) return found;
  const own = owners.flatMap((owner) => database.filesOf(owner) ?? []);
  const related = owners.flatMap((owner) =>
    owner.depends.flat().flatMap((other) => {
      const installed = services.length === 0 ? undefined : database.find(other);
      if (installed === undefined || installed.isEssential) return [];
      return database.filesOf(installed) ?? [];
    }),
  );
  const files = new Set([...own, ...related]);
  for (const user of services) {
    const service = user.home.slice(user.home.lastIndexOf('/') + 1);
    const isOwn = owners.some((owner) => owner.name.startsWith(service));
    if (user.name !== name && isOwn && files.has(user.home) && isPrivate(user.home)) {
      found.push({ ...user, by: name });
    }
  }
  for (const file of files) {
    if (!file.startsWith('/etc/')) continue;
    const user = userIn(probe, file);
    if (user !== undefined && services.some((service) => service.name === user)) {
      found.push({ name: user, home: '', by: file });
    }
  }
  return [...new Map(found.map((user) => [user.name, user])).values()];
}

/** Homes that are made for one service. */
function isPrivate(home: string): boolean {
  return /^\/(var\/lib|var\/cache|var\/spool|run|srv)\/./.test(home);
}

function userIn(probe: Sysroot, file: string): string | undefined {
  const trace = probe.trace(file);
  if (!isTrace(trace) || trace.stat.type !== 'file' || trace.stat.size > MAX_SIZE) return undefined;
  if ((trace.stat.mode & 0o004) === 0 || (trace.stat.mode & 0o111) !== 0) return undefined;
  return USER_LINE.exec(probe.readText(trace))?.[1];
}

function serviceUsers(probe: Sysroot): { readonly name: string; readonly home: string }[] {
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
