import { accessSync, constants, lstatSync, readdirSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import type { LaunchOptions, Mount, TmpfsMount } from './options.js';

const TMP = '/tmp';
/** The implicit mount at /tmp. */
export const UNASKED: TmpfsMount = { target: TMP };

/**
 * Returns the options with an empty file system at /tmp, which programs expect, unless the jail or a mount provides
 * one.
 *
 * @param root absolute path of the jail
 * @param paths of the jail's manifest, if it has a record
 */
export function withTmp(
  root: string,
  launch: LaunchOptions,
  paths: readonly { readonly path: string }[] = [],
): LaunchOptions {
  if (!needsTmp(launch, paths) || !canMount(root)) return launch;
  // Mounts below it come later.
  return { ...launch, mounts: [UNASKED, ...(launch.mounts ?? [])] };
}

/** Returns whether `withTmp` adds its mount if the root can have it. */
export function needsTmp(
  { overlay, mounts = [] }: LaunchOptions,
  paths: readonly { readonly path: string }[] = [],
): boolean {
  // An overlay captures all writes to the root, including /tmp.
  return (
    overlay === undefined && !mounts.some(isAtTmp) && !paths.some(({ path }) => isWithin(path))
  );
}

/** Returns the options without the implicit mount if the jail now has a /tmp. */
export function withOwnTmp(root: string, launch: LaunchOptions): LaunchOptions {
  const { mounts = [] } = launch;
  if (!mounts.includes(UNASKED) || canMount(root)) return launch;
  return { ...launch, mounts: mounts.filter((mount) => mount !== UNASKED) };
}

/** A mount at / hides the jail, with or without a /tmp of its own. */
function isAtTmp(mount: Mount): boolean {
  const target = mount.target.replace(/\/+$/, '');
  return target === '' || target === TMP;
}

function isWithin(path: string): boolean {
  return path === TMP || path.startsWith(`${TMP}/`);
}

/**
 * Returns whether /tmp can be mounted on: an empty directory is the mount point of an earlier run; a missing one is
 * created.
 */
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
