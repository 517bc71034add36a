import { JailbuildError } from '../errors.js';
import type { Entry } from '../manifest/manifest.js';
import { baseName } from '../text/base-name.js';
import { type Destination, isContainerImage } from './destination.js';

/** A name that deletes a file of the layers below (OCI image spec, layer.md, "Whiteouts"). */
const WHITEOUT = '.wh.';
/** Ends a cpio archive (cpio(5), "New ASCII Format"; the kernel's init/initramfs.c). */
const CPIO_TRAILER = '/TRAILER!!!';

/**
 * What overlay file systems keep about a layer in attributes that users may set (kernel, overlayfs.rst,
 * "userxattr"; fuse-overlayfs; containers-storage). In an image they would act on its files.
 */
const OVERLAY_XATTR = /^user\.(overlay\.|fuseoverlayfs\.|containers\.override_stat$)/;

/**
 * Refuses entries that have a special meaning when the output is unpacked.
 *
 * @throws JailbuildError NOT_EXPORTABLE for the first one
 */
export function refuseReservedNames(entries: readonly Entry[], kind: Destination['kind']): void {
  for (const entry of entries) {
    const why =
      kind === 'cpio'
        ? cpioMeaning(entry)
        : isContainerImage({ kind })
          ? imageMeaning(entry)
          : undefined;
    if (why === undefined) continue;
    throw new JailbuildError(
      'NOT_EXPORTABLE',
      `${entry.path}: ${why}: leave it out, or export in another form`,
      entry.path,
    );
  }
}

/** The extended attributes that go into an image. */
export function imageXattrs(xattrs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(xattrs).filter(([name]) => !OVERLAY_XATTR.test(name)));
}

function cpioMeaning({ path }: Entry): string | undefined {
  return path === CPIO_TRAILER ? 'ends a cpio archive by its name' : undefined;
}

function imageMeaning(entry: Entry): string | undefined {
  const name = baseName(entry.path);
  if (name.startsWith(WHITEOUT))
    return 'deletes a file of an image by its name, which begins with .wh.';
  // A whiteout of overlayfs itself (kernel, overlayfs.rst, "whiteouts and opaque directories").
  return entry.type === 'character-device' && entry.major === 0 && entry.minor === 0
    ? 'deletes a file of an image, as a character device 0:0'
    : undefined;
}
