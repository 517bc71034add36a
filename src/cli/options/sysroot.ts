import { hostPlatform, unpackedRoot } from '../../image/image-root.js';
import { parsePlatform } from '../../image/platform.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { registryOptionsOf } from './registry.js';

/** The root directory of a command, and the image that it was unpacked from. */
export type OpenedSysroot = Pick<ResolveRequest, 'sysroot' | 'sysrootImage'>;

/**
 * Unpacks what `--sysroot` names, if it is an image or a directory of packages.
 *
 * @param args for the platform and the registry
 * @throws JailbuildError USAGE, and as `unpackedRoot`
 */
export async function unpackedSysroot(
  text: string,
  args: Readonly<Record<string, unknown>>,
): Promise<OpenedSysroot> {
  const [platform] = [args.platform].flat();
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : hostPlatform();
  const unpacked = await unpackedRoot(text, wanted, registryOptionsOf(args));
  if (unpacked === undefined) return { sysroot: text };
  const { root, ...sysrootImage } = unpacked;
  return { sysroot: root, sysrootImage };
}
