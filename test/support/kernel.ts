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

/**
 * Returns the path of a module of the kernel, uncompressed.
 *
 * @param name of its file without the suffix
 */
export function kernelModule(name: string): string {
  const directory = path.resolve(kernel() ?? '', '../../lib/modules');
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const found = files.find((file) => path.basename(file) === `${name}.ko`);
  if (found === undefined)
    throw new Error(`${directory} has no ${name}.ko: remove it, and run .ci/kernel`);
  return path.join(directory, found);
}

/**
 * Boots the kernel with a disk as its root, as `boot` does. It is mounted read-only; `rw` among the parameters changes
 * that, and the image stays as it is.
 */
export function bootDisk(image: string, type: string, parameters = ''): string {
  const drive = `file=${image},if=none,id=root,format=raw,snapshot=on`;
  const device = ['-drive', drive, '-device', 'nvme,serial=root,drive=root'];
  return bootWith(
    device,
    `root=/dev/nvme0n1 rootfstype=${type} rootwait ro init=/init ${parameters}`,
  );
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
    { encoding: 'utf8', timeout: 600_000, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return stdout.replaceAll('\r', '');
}
