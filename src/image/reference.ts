import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { escapeColons, splitAtColon } from '../text/colon.js';

/** A reference to an image, in the syntax of containers-transports(5). */
export type ImageReference =
  | {
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
      readonly path: string;
      readonly name?: string;
    }
  | { readonly kind: 'docker'; readonly name: string };

/** Returns whether an argument names an image rather than a directory. */
export function isImageReference(text: string): boolean {
  return /^(oci|oci-archive|docker-archive):|^docker:\/\//.test(text);
}

/**
 * Parses an image reference. A path ends at the first colon; `\:` is a colon in it.
 *
 * @throws JailbuildError USAGE
 */
export function parseImageReference(text: string): ImageReference {
  if (text.startsWith('docker://')) {
    const name = text.slice('docker://'.length);
    if (name === '') throw usage(text);
    return { kind: 'docker', name };
  }
  const [kind, rest = ''] = splitAtColon(text);
  const [path, name] = splitAtColon(rest);
  const isKnown = kind === 'oci' || kind === 'oci-archive' || kind === 'docker-archive';
  if (!isKnown || path === '') throw usage(text);
  return name === undefined ? { kind, path } : { kind, path, name };
}

/**
 * Returns what names a root, a directory, `deb:DIR` or an image, for use in any directory.
 *
 * @param base the directory that relative paths start at
 * @throws JailbuildError USAGE
 */
export function absoluteRoot(text: string, base = process.cwd()): string {
  if (text.startsWith('deb:')) return `deb:${path.resolve(base, text.slice('deb:'.length))}`;
  if (!isImageReference(text)) return path.resolve(base, text);
  const parsed = parseImageReference(text);
  if (parsed.kind === 'docker') return text;
  const absolute = escapeColons(path.resolve(base, parsed.path));
  return [parsed.kind, absolute, parsed.name].filter((part) => part !== undefined).join(':');
}

function usage(text: string): JailbuildError {
  return new JailbuildError(
    'USAGE',
    `${text}: give oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF] or docker://NAME`,
  );
}
