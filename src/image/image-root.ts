import { debDirectory } from './deb-directory.js';
import { debRoot } from './deb-root.js';
import { openImage } from './open-image.js';
import { type Platform, platformName } from './platform.js';
import { absoluteRoot, isImageReference, parseImageReference } from './reference.js';
import type { RegistryOptions } from './registry/access.js';
import type { SourceImage } from './source-image.js';
import { unpackImage } from './unpack.js';

/** An unpacked image. */
export interface ImageRoot {
  readonly image: SourceImage;
  /** Its root directory. */
  readonly root: string;
}

/**
 * Unpacks an image by its reference.
 *
 * @throws JailbuildError as `openImage` and `unpackImage`
 */
export async function imageRoot(
  text: string,
  platform: Platform,
  registry: RegistryOptions = {},
): Promise<ImageRoot> {
  const image = await openImage(parseImageReference(text), platform, registry);
  return { image, root: await unpackImage(image, text) };
}

/** A root that was unpacked, and what it is from. */
export interface UnpackedRoot {
  /** The root directory, in the cache of images. */
  readonly root: string;
  /** The reference with absolute paths. */
  readonly reference: string;
  /** Of an image, the platform that was asked for. */
  readonly platform?: string;
  /** A digest that changes with the content. */
  readonly id: string;
}

/**
 * Unpacks an image or a directory of packages for use as a root.
 *
 * @param text an image reference, `deb:DIR`, or a directory that contains .deb files and no root file system
 * @returns undefined for any other directory
 * @throws JailbuildError as `imageRoot` and `debRoot`
 */
export async function unpackedRoot(
  text: string,
  platform: Platform,
  registry: RegistryOptions = {},
): Promise<UnpackedRoot | undefined> {
  const directory = debDirectory(text);
  if (directory !== undefined) {
    return { ...(await debRoot(directory)), reference: absoluteRoot(`deb:${directory}`) };
  }
  if (!isImageReference(text)) return undefined;
  const { image, root } = await imageRoot(text, platform, registry);
  return {
    root,
    reference: absoluteRoot(text),
    platform: platformName(platform),
    id: image.id,
  };
}

/** GOARCH by Node's architecture name. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
};

/** Returns the platform of this machine, the default when choosing from an index. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}
