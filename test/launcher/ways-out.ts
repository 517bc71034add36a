import { existsSync } from 'node:fs';
import path from 'node:path';
import type { LaunchOptions } from '../../src/launcher/options.js';
import { exec } from '../support/cli.js';

export interface Way {
  readonly probe: readonly string[];
  /** Arguments of the launcher with which the escape succeeds. */
  readonly control: readonly string[];
  readonly run?: LaunchOptions;
  /** Names of runs that do not prevent it, or where it cannot be tried. */
  readonly except?: readonly string[];
}

const BY_CAPABILITIES = ['all capabilities'];
const BY_FILTER = ['no filter'];

/**
 * Returns escapes from a jail by fixtures/launcher/probe.c, by name.
 *
 * @param jail contains the probe at its top, and a node of /dev/zero
 * @param canary a file of the host
 * @param sleeper the PID of a process on the host
 */
export function waysOut(
  jail: string,
  canary: string,
  sleeper: number | undefined,
): Readonly<Record<string, () => Way>> {
  const chroot = ['-c', jail];
  const mountsAlone = ['-m', '-c', jail];
  const mountsAndPids = ['-pm', '-c', jail];
  const masked = ['-pm', '-c', jail, '--mask-proc'];
  const hostProc = [...mountsAlone, '--bind', '/proc'];
  return {
    'a chroot within the jail': () => ({ probe: ['chroot', canary], control: chroot }),
    'the root and the working directory of other processes': () => ({
      probe: ['proc-links', canary],
      control: hostProc,
    }),
    "a device of the host's disk": () => ({
      probe: ['disk', '/tmp/disk'],
      control: mountsAlone,
      except: BY_CAPABILITIES,
    }),
    'a device that is in the jail already': () => ({
      probe: ['open-read', '/zero'],
      control: mountsAlone,
    }),
    'a mount': () => ({ probe: ['mount', '/tmp/m'], control: mountsAlone }),
    'a mount by the newer system calls': () => ({ probe: ['fsopen'], control: mountsAlone }),
    'a read-only root made writable': () => ({
      probe: ['remount', '/written'],
      control: ['-m', '--read-only', '-c', jail],
      run: { readOnly: true },
    }),
    'a masked file of /proc uncovered': () => ({
      probe: ['unmask', '/proc/timer_list'],
      control: masked,
    }),
    'a read-only directory of /proc uncovered': () => ({
      probe: ['unmask', '/proc/sys'],
      control: masked,
    }),
    'a signal to a process of the host': () => ({
      probe: ['kill', String(sleeper)],
      control: mountsAlone,
    }),
    'a trace of a process of the host': () => ({
      probe: ['ptrace', String(sleeper)],
      control: mountsAlone,
    }),
    'a trace of the first process': () => ({
      probe: ['ptrace', '1'],
      control: [...mountsAndPids, '--init'],
      except: BY_CAPABILITIES,
    }),
    'memory of the first process': () => ({
      probe: ['open-read', '/proc/1/mem'],
      control: [...mountsAndPids, '--init'],
      except: BY_CAPABILITIES,
    }),
    'a module of the kernel': () => ({
      probe: ['module'],
      control: chroot,
      // A kernel without modules reports that to everyone.
      except: existsSync('/proc/modules') ? [] : BY_FILTER,
    }),
    'keys of the kernel': () => ({ probe: ['keyring'], control: chroot, except: BY_FILTER }),
    // AF_VSOCK and AF_ALG
    'the host of a virtual machine': () => ({
      probe: ['socket', '40'],
      control: chroot,
      except: BY_FILTER,
    }),
    "the kernel's ciphers": () => ({
      probe: ['socket', '38'],
      control: chroot,
      except: BY_FILTER,
    }),
    'a user namespace, by unshare': () => ({
      probe: ['unshare'],
      control: mountsAlone,
      except: BY_FILTER,
    }),
    'a user namespace, by clone': () => ({
      probe: ['clone'],
      control: mountsAlone,
      except: BY_FILTER,
    }),
    'a user namespace, by clone3': () => ({
      probe: ['clone3'],
      control: mountsAlone,
      except: BY_FILTER,
    }),
    'a namespace of another process': () => ({
      probe: ['setns', '/proc/self/ns/mnt'],
      control: hostProc,
    }),
    'the release agent of a cgroup': () => ({ probe: ['release-agent'], control: mountsAlone }),
    'a file by its handle': () => ({
      probe: ['by-handle', exec(path.join(jail, 'probe'), ['handle', canary]).stdout.trim()],
      control: mountsAlone,
    }),
  };
}
