import { JailbuildError } from '../../errors.js';
import { isImageReference } from '../../image/reference.js';
import type { RegistryOptions } from '../../image/registry/access.js';
import type { ResolveRequest } from '../../manifest/request.js';

const GROUP = 'Registries:';

/** Access to registries, for sources and destinations `docker://`. */
export const registryOptions = {
  'tls-verify': {
    type: 'boolean',
    describe:
      'Verify certificates of registries; =false accepts any, and plain HTTP [default: true]',
    group: GROUP,
  },
  'registry-ca': {
    type: 'string',
    requiresArg: true,
    describe: 'Trust these CA certificates (PEM) in addition to those of the system',
    placeholder: 'FILE',
    complete: 'file',
    group: GROUP,
  },
  'cert-dir': {
    type: 'string',
    requiresArg: true,
    describe:
      "Directory with CA certificates (.crt) and client certificates (.cert, .key) [default: the registry's in certs.d]",
    placeholder: 'DIR',
    complete: 'directory',
    group: GROUP,
  },
  'auth-file': {
    type: 'string',
    requiresArg: true,
    describe: 'File with registry credentials [default: those of podman, skopeo and docker login]',
    placeholder: 'FILE',
    complete: 'file',
    group: GROUP,
  },
} as const;

/** Options of commands that read images. */
export const imageSourceOptions = {
  platform: {
    type: 'string',
    requiresArg: true,
    describe: 'Platform to choose from a multi-platform image [default: that of this machine]',
    placeholder: 'OS/ARCH[/VARIANT]',
    group: GROUP,
  },
  ...registryOptions,
} as const;

/** Returns the registry options of a command line. */
export function registryOptionsOf(args: Readonly<Record<string, unknown>>): RegistryOptions {
  const { 'tls-verify': tlsVerify, 'registry-ca': caFile, 'auth-file': authFile } = args;
  const { 'cert-dir': certDir } = args;
  return {
    ...(typeof tlsVerify === 'boolean' ? { tlsVerify } : {}),
    ...(typeof caFile === 'string' ? { caFile } : {}),
    ...(typeof certDir === 'string' ? { certDir } : {}),
    ...(typeof authFile === 'string' ? { authFile } : {}),
  };
}

/**
 * Refuses a platform where no image is read, whose platforms it could choose from: programs of a directory are for the
 * machine that they are for.
 *
 * @param operands what a command reads: images, and jail files, which may name one
 * @throws JailbuildError USAGE
 */
export function refuseIdlePlatform(
  args: Pick<ResolveRequest, 'sysrootImage'> & { readonly platform?: string | undefined },
  operands: readonly string[] = [],
): void {
  const { platform, sysrootImage } = args;
  if (platform === undefined || sysrootImage?.platform !== undefined) return;
  if (operands.some((operand) => isImageReference(operand) || /\.ya?ml$/.test(operand))) return;
  throw new JailbuildError(
    'USAGE',
    `--platform ${platform} chooses one of an image's platforms, and no image is read: leave it out, or name an image, as --sysroot docker://NAME`,
  );
}
