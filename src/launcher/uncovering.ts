import { realpathSync } from 'node:fs';
import path from 'node:path';
import { DEFAULT_CAPABILITIES, filtersOf, isTmpfs, type LaunchOptions } from './options.js';

/** Capabilities that can remove a mount, or reach a file below it, unless a filter denies the calls. */
const UNFILTERED = ['sys_admin', 'dac_read_search', 'sys_module', 'sys_rawio', 'sys_ptrace', 'bpf'];

/**
 * Returns whether a command can reach what the launcher covers with a mount in the jail: by a capability, by creating a
 * device, or by a bind mount of the directory that contains the jail.
 */
export function canUncover(root: string, launch: LaunchOptions): boolean {
  const capabilities = launch.capabilities?.bounding ?? DEFAULT_CAPABILITIES;
  const filtered = filtersOf(launch).includes('default');
  const isRoot = process.geteuid?.() === 0 && launch.userMaps === undefined;
  if (!filtered && capabilities.some((name) => UNFILTERED.includes(name))) return true;
  if (isRoot && capabilities.includes('mknod')) return true;
  return (launch.mounts ?? []).some((mount) => {
    if (isTmpfs(mount)) return false;
    if ('source' in mount) return !mount.readOnly && isAtOrAbove(mount.source, root);
    return mount.option === '--bind-fd' && isAtOrAbove(`/proc/self/fd/${mount.fd}`, root);
  });
}

function isAtOrAbove(source: string, root: string): boolean {
  try {
    const [outer, inner] = [realpathSync(source), realpathSync(root)];
    const relative = path.relative(outer, inner);
    return relative === '' || !(relative === '..' || relative.startsWith('../'));
  } catch {
    // The launcher reports missing paths.
    return false;
  }
}
