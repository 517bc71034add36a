import { JailbuildError } from '../errors.js';
import type { RegistryAccess } from '../image/registry/access.js';
import { requireRecord } from '../jail/record/record.js';
import { checkRequest } from '../manifest/check-request.js';
import type { Manifest } from '../manifest/manifest.js';
import { entriesNamed, type ReasonChains, reasonChains } from '../manifest/reason-chains.js';
import type { ResolveRequest } from '../manifest/request.js';
import { planRequest, type Reading } from '../plan/resolve-request.js';
import { checkOptions, checkPath, flag, registryAccess } from './options.js';

/** Options of `reasonsFor`. */
export interface ReasonsOptions {
  /** The maximum number of chains for a file, shortest first. The default is 10. */
  readonly limit?: number;
  /** How the sysroot of a request is read that is an image of a registry. */
  readonly registry?: RegistryAccess;
  /** Read each file again instead of using what earlier runs have stored, and store nothing. */
  readonly noCache?: boolean;
}

/** A file, and the reasons for it. */
export interface FileReasons extends ReasonChains {
  /** Its path in the jail. */
  readonly path: string;
}

const USUAL_LIMIT = 10;
const MAX_LIMIT = 10_000;

/**
 * Finds why files are in a jail, or why programs need them, as `jailbuild why` does.
 *
 * @param source the directory of a jail, whose record is read, or a request, which is resolved
 * @param file a path in the jail, or a file name
 * @throws JailbuildError FILE_NOT_FOUND, RECORD_MISSING, and as `planRoot`
 */
export async function reasonsFor(
  source: string | ResolveRequest,
  file: string,
  options: ReasonsOptions = {},
): Promise<FileReasons[]> {
  const { limit = USUAL_LIMIT, ...reading } = checkOptions<ReasonsOptions>(options, {
    limit: (field) => field.integer(1, MAX_LIMIT),
    registry: registryAccess,
    noCache: flag,
  });
  const name = checkPath(file, 'file');
  const manifest = await manifestOf(source, reading);
  const found = entriesNamed(manifest, name).map(({ path }) => ({
    path,
    ...reasonChains(manifest, path, limit),
  }));
  if (found.length > 0) return found;
  throw new JailbuildError('FILE_NOT_FOUND', `${name}: not found in the jail or plan`, name);
}

async function manifestOf(source: string | ResolveRequest, reading: Reading): Promise<Manifest> {
  if (typeof source === 'string') return requireRecord(checkPath(source, 'source')).manifest;
  return (await planRequest(checkRequest(source), true, reading)).manifest;
}
