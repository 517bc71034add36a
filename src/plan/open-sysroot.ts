import { existsSync } from 'node:fs';
import { debDirectory } from '../image/deb-directory.js';
import { isImageReference } from '../image/reference.js';
import type { RegistryAccess } from '../image/registry/access.js';
import type { ResolveRequest } from '../manifest/request.js';

/**
 * Unpacks the image or packages that a request names as its sysroot. Returns the request with the
 * resulting root directory and its origin, or unchanged if it names none.
 *
 * @throws JailbuildError as `unpackedRoot`
 */
export async function openSysroot(
  request: ResolveRequest,
  registry: RegistryAccess = {},
): Promise<ResolveRequest> {
  const { sysroot, sysrootImage } = request;
  if (sysroot === undefined) return request;
  if (sysrootImage !== undefined) {
    return existsSync(sysroot) ? request : reopenSysroot(request, registry);
  }
  if (!isImageReference(sysroot) && debDirectory(sysroot) === undefined) return request;
  return { ...request, ...(await opened(sysroot, undefined, registry)) };
}

/**
 * Reads the origin of a recorded sysroot again: its tag may have moved, and the cache may have
 * dropped the unpacked root.
 *
 * @param request of a record
 * @throws JailbuildError as `unpackedRoot`
 */
export async function reopenSysroot(
  request: ResolveRequest,
  registry: RegistryAccess = {},
): Promise<ResolveRequest> {
  const { sysrootImage } = request;
  if (sysrootImage === undefined) return request;
  const { reference, platform } = sysrootImage;
  return { ...request, ...(await opened(reference, platform, registry)) };
}

async function opened(
  text: string,
  platform: string | undefined,
  registry: RegistryAccess,
): Promise<Pick<ResolveRequest, 'sysroot' | 'sysrootImage'>> {
  const { hostPlatform, unpackedRoot } = await import('../image/image-root.js');
  const { parsePlatform } = await import('../image/platform.js');
  const wanted = platform === undefined ? hostPlatform() : parsePlatform(platform);
  const unpacked = await unpackedRoot(text, wanted, registry);
  if (unpacked === undefined) return { sysroot: text };
  const { root, ...sysrootImage } = unpacked;
  return { sysroot: root, sysrootImage };
}
