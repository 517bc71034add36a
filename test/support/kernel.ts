import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { needsRoot } from './need.js';

/** A kernel to boot: see .ci/kernel. */
function kernel(): string | undefined {
  const named = process.env.JAILBUILD_TEST_KERNEL;
  if (named !== undefined) return named;
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const boot = path.join(cache, 'jailbuild-test/kernel/boot');
  if (!existsSync(boot)) return undefined;
  const name = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'));
  return name === undefined ? undefined : path.join(boot, name);
}

/** Options for tests that boot a kernel. */
export function needsKernel(...programs: readonly string[]): { readonly skip: string | false } {
  const { skip } = needsRoot('qemu-system-x86_64', 'mknod', ...programs);
  if (skip !== false) return { skip };
  return { skip: kernel() === undefined ? 'needs a kernel: .ci/kernel gets one' : false };
}

/**
 * Boots the kernel with an initramfs, and returns the console output until its init ends.
 *
 * @param parameters kernel parameters
 */
export function boot(archive: string, parameters = ''): string {
  return bootWith(['-initrd', archive], parameters);
}

/** Boots the kernel with a disk as its read-only root, as `boot` does. */
export function bootDisk(image: string, type: string): string {
  const drive = `file=${image},if=none,id=root,format=raw,readonly=on`;
  const device = ['-drive', drive, '-device', 'nvme,serial=root,drive=root'];
  return bootWith(device, `root=/dev/nvme0n1 rootfstype=${type} rootwait ro init=/init`);
}

function bootWith(device: readonly string[], parameters: string): string {
  // Without an init the kernel panics, and the virtual machine ends.
  const { stdout } = spawnSync(
    'qemu-system-x86_64',
    [
      ...'-machine pc,accel=tcg -m 512 -nographic -no-reboot -nodefaults -serial stdio'.split(' '),
      ...['-kernel', kernel() ?? ''],
      ...['-append', `console=ttyS0 panic=-1 no_timer_check quiet ${parameters}`],
      ...device,
    ],
    { encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return stdout.replaceAll('\r', '');
}
