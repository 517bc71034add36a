import { JailbuildError } from '../errors.js';

/** The platform of an image, as GOOS and GOARCH (OCI image spec, image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** @throws JailbuildError USAGE */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...rest] = text.split('/');
  if (!/^[a-z]+$/.test(os) || !/^[a-z0-9]+$/.test(architecture) || rest.length > 0) {
    throw new JailbuildError('USAGE', `--platform ${text}: give OS/ARCH or OS/ARCH/VARIANT`);
  }
  return { os, architecture, ...(variant ? { variant } : {}) };
}

/** Returns a platform as options name it: `linux/arm64`, `linux/arm/v7`; '' for none. */
export function platformName({ os, architecture, variant }: Partial<Platform> = {}): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}
