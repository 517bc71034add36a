import { readIfThere } from '../evidence/packages/aliases.js';
import type { Sysroot } from '../fs/sysroot.js';

/** The identity of a system (os-release(5)). */
export interface Distribution {
  /** Such as `debian`. */
  readonly id?: string;
  /** Such as `12`. */
  readonly version?: string;
}

export function readDistribution(sysroot: Sysroot): Distribution {
  const text =
    readIfThere(sysroot, '/etc/os-release') ?? readIfThere(sysroot, '/usr/lib/os-release') ?? '';
  const value = (name: string): string | undefined =>
    new RegExp(`^${name}=["']?([A-Za-z0-9._-]+)["']?\\s*$`, 'm').exec(text)?.[1];
  const id = value('ID');
  const version = value('VERSION_ID');
  return {
    ...(id === undefined ? {} : { id }),
    ...(version === undefined ? {} : { version }),
  };
}
