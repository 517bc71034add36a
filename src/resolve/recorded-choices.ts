import type { ManifestRequest } from '../manifest/manifest.js';
import type { ResolveRequest } from '../manifest/request.js';

/** Returns the choices that are not the default, as in a manifest. */
export function chosen(request: ResolveRequest): Partial<ManifestRequest> {
  const { dlopen, nss, gconv = [], locales = [], caCertificates, timeZones = [] } = request;
  return {
    ...sayings(request),
    ...(dlopen === undefined || dlopen === 'required' ? {} : { dlopen }),
    ...(nss === 'none' ? { nss } : {}),
    ...(gconv.length > 0 ? { gconv } : {}),
    ...(locales.length > 0 ? { locales } : {}),
    ...(caCertificates ? { caCertificates } : {}),
    ...(timeZones.length > 0 ? { timeZones } : {}),
  };
}

/**
 * Returns the parts of a request that are lists or concern packages and traces, if they are not the
 * default.
 */
function sayings(request: ResolveRequest): Partial<ManifestRequest> {
  const { profiles = [], users = [], include = [], exclude = [], packages = [] } = request;
  const { directories = [], traces = [], traceScope = 'files', allowStaleTraces } = request;
  const { withPackage, packageDepends, packageEssential, packageDocs, scriptCommands } = request;
  return {
    ...(packages.length > 0 ? { packages } : {}),
    ...(withPackage ? { withPackage } : {}),
    ...(packageDepends === undefined ? {} : { packageDepends }),
    ...(packageEssential ? { packageEssential } : {}),
    ...(packageDocs ? { packageDocs } : {}),
    ...(scriptCommands === 'none' ? { scriptCommands } : {}),
    ...(profiles.length > 0 ? { profiles } : {}),
    ...(users.length > 0 ? { users } : {}),
    ...(include.length > 0 ? { include } : {}),
    ...(exclude.length > 0 ? { exclude } : {}),
    ...(directories.length > 0 ? { directories } : {}),
    ...(traces.length > 0 ? { traces } : {}),
    ...(traces.length > 0 && traceScope !== 'files' ? { traceScope } : {}),
    ...(traces.length > 0 && allowStaleTraces ? { allowStaleTraces } : {}),
  };
}
