import { accessSync, constants, lstatSync, readdirSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import type { LaunchOptions, Mount, TmpfsMount } from './options.js';

const TMP = '/tmp';
/** The mount that nobody asked for. */
const UNASKED: TmpfsMount = { target: TMP };

/**
 * Returns the options with an empty file system at /tmp, as programs expect one, where neither the jail
 * nor a mount has it.
 *
 * @param root absolute path of the jail
 * @param paths of the jail's manifest, if there is a record of it
 */
export function withTmp(
  root: string,
  launch: LaunchOptions,
  paths: readonly { readonly path: string }[] = [],
): LaunchOptions {
  const mounts = launch.mounts ?? [];
  // An overlay keeps what is written to the root, /tmp included.
  if (launch.overlay !== undefined) return launch;
  if (mounts.some(isAtTmp) || paths.some(({ path }) => isWithin(path))) return launch;
  // What is mounted deeper comes after it.
  return canMount(root) ? { ...launch, mounts: [UNASKED, ...mounts] } : launch;
}

/** Returns the options without that mount where the jail has come to have a /tmp since. */
export function withOwnTmp(root: string, launch: LaunchOptions): LaunchOptions {
  const { mounts = [] } = launch;
  if (!mounts.includes(UNASKED) || canMount(root)) return launch;
  return { ...launch, mounts: mounts.filter((mount) => mount !== UNASKED) };
}

/** What is mounted at / hides the jail, and brings a /tmp of its own or none. */
function isAtTmp(mount: Mount): boolean {
  const target = mount.target.replace(/\/+$/, '');
  return target === '' || target === TMP;
}

function isWithin(path: string): boolean {
  return path === TMP || path.startsWith(`${TMP}/`);
}

/** A directory with nothing in it is the mount point of an earlier run; where there is none, it is made. */
function canMount(root: string): boolean {
  try {
    const there = lstatSync(`${root}${TMP}`);
    return (
      there.isDirectory() && (there.mode & 0o002) === 0 && readdirSync(`${root}${TMP}`).length === 0
    );
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') return false;
  }
  try {
    accessSync(root, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
