import type { Platform } from '../image/platform.js';

/** Returns a platform as options name it: `linux/arm64`, `linux/arm/v7`; '' for none. */
export function platformName({ os, architecture, variant }: Partial<Platform> = {}): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}
