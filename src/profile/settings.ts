import type { DlopenChoice, ResolveRequest } from '../manifest/request.js';
import type { Profile } from './profile.js';

/** Returns the variables that profiles set, in the order of their names; later profiles win. */
export function environmentOf(profiles: readonly Profile[]): Record<string, string> {
  const variables = profiles.flatMap(({ environment }) => Object.entries(environment ?? {}));
  const last = Object.entries(Object.fromEntries(variables));
  return Object.fromEntries(last.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const DLOPEN_CHOICES: readonly DlopenChoice[] = ['none', 'required', 'recommended', 'suggested'];

/** Returns the request with the settings of the profiles. */
export function withSettings(
  request: ResolveRequest,
  profiles: readonly Profile[],
): ResolveRequest {
  const strongest = Math.max(
    ...profiles.map(({ dlopen }) => (dlopen === undefined ? -1 : DLOPEN_CHOICES.indexOf(dlopen))),
  );
  const terminfo =
    request.terminfo ?? profiles.find((profile) => profile.terminfo !== undefined)?.terminfo;
  const nss = request.nss ?? profiles.find((profile) => profile.nss !== undefined)?.nss;
  const dlopen = request.dlopen ?? DLOPEN_CHOICES[strongest];
  const gconv = union(request.gconv, ...profiles.map((profile) => profile.gconv));
  const locales = union(request.locales, ...profiles.map((profile) => profile.locales));
  const zones = union(request.timeZones, ...profiles.map((profile) => profile['time-zones']));
  const certificates = profiles.some((profile) => profile['ca-certificates']);
  return {
    ...request,
    ...(terminfo === undefined ? {} : { terminfo }),
    ...(nss === undefined ? {} : { nss }),
    ...(dlopen === undefined ? {} : { dlopen }),
    ...(gconv === undefined ? {} : { gconv }),
    ...(locales === undefined || locales === 'all' ? {} : { locales }),
    ...(zones === undefined ? {} : { timeZones: zones }),
    ...(certificates ? { caCertificates: true } : {}),
  };
}

/** Returns the union of the names, or `all` if it is among them. */
function union(
  ...choices: readonly ('all' | readonly string[] | undefined)[]
): 'all' | readonly string[] | undefined {
  if (choices.includes('all')) return 'all';
  const given = choices.filter((choice) => choice !== undefined);
  return given.length === 0 ? undefined : [...new Set(given.flat())];
}
