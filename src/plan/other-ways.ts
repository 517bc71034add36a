import { JailbuildError } from '../errors.js';
import { openPackages } from '../evidence/packages/open.js';
import { isRunTimeFile } from '../evidence/packages/run-time-files.js';
import { Sysroot } from '../fs/sysroot.js';
import type { RegistryAccess } from '../image/registry/access.js';
import type { ResolveRequest } from '../manifest/request.js';
import { profileNames } from '../profile/load.js';
import { plan } from '../resolve/to-manifest.js';
import { openSysroot } from './open-sysroot.js';
import { resolveRequest } from './resolve-request.js';

/** Options that add files of the system by a rule. */
const RULES: Readonly<Record<string, Partial<ResolveRequest>>> = {
  '--ca-certificates': { caCertificates: true },
  '--terminfo all': { terminfo: 'all' },
  '--tz all': { timeZones: 'all' },
  '--gconv all': { gconv: 'all' },
};

/**
 * Finds the build options, each by itself, that would have added paths that are present for another
 * reason: rules, packages, and profiles, the narrower ones first.
 *
 * @param asked the request of the jail, for its programs and its sysroot
 * @param registry how a sysroot of a registry is read
 * @returns options by path; none for paths that no option brings
 */
export async function otherWays(
  paths: readonly string[],
  asked: ResolveRequest,
  registry?: RegistryAccess,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const request = await openSysroot(asked, registry);
  const ways = new Map<string, string[]>(paths.map((path) => [path, []]));
  for (const [option, asked] of await candidates(paths, request)) {
    const brought = await pathsOf({ ...environmentOf(request), ...asked });
    for (const [path, options] of ways) if (brought.has(path)) options.push(option);
  }
  return ways;
}

/** Returns the options to try, each with its request. */
async function candidates(
  paths: readonly string[],
  { programs, sysroot }: ResolveRequest,
): Promise<(readonly [string, ResolveRequest])[]> {
  const { database } = await openPackages(new Sysroot(sysroot));
  const owners = [...(database?.ownersOf(paths).values() ?? [])].flat().map(({ name }) => name);
  const isOfPackage = paths.some((path) => isRunTimeFile(path));
  return [
    ...Object.entries(RULES).map(([option, rule]) => [option, { programs: [], ...rule }] as const),
    ['--dlopen suggested', { programs, dlopen: 'suggested' }],
    ...(isOfPackage
      ? [...new Set(owners)].map(
          (name) => [`--package ${name}`, { programs: [], packages: [name] }] as const,
        )
      : []),
    ['--with-package', { programs, withPackage: true }],
    ...profileNames().map(
      (name) => [`--profile ${name}`, { programs: [], profiles: [name] }] as const,
    ),
  ];
}

function environmentOf({ sysroot, path, cwd }: ResolveRequest): Partial<ResolveRequest> {
  return {
    ...(sysroot === undefined ? {} : { sysroot }),
    ...(path === undefined ? {} : { path }),
    ...(cwd === undefined ? {} : { cwd }),
  };
}

/** Returns the paths that a request adds; none if it names something that is not installed. */
async function pathsOf(request: ResolveRequest): Promise<ReadonlySet<string>> {
  try {
    const closure = await resolveRequest(request, { goesOn: true, isAdvised: false });
    return new Set(plan(closure).entries.map(({ path }) => path));
  } catch (error) {
    if (error instanceof JailbuildError) return new Set();
    throw error;
  }
}
