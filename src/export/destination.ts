import { basename } from 'node:path';
import { JailbuildError } from '../errors.js';
import { parseRegistryName } from '../image/registry/name.js';
import { splitAtColon } from '../text/colon.js';
import type { Compression } from './compression.js';

/** The form of an export (containers-transports(5)). */
export type ExportFormat =
  | 'oci'
  | 'docker'
  | 'oci-archive'
  | 'docker-archive'
  | 'tar'
  | 'cpio'
  | 'squashfs'
  | 'erofs'
  | 'ext4'
  | 'portable';

/** The form and the place of an export. */
export type Destination =
  | { readonly kind: 'oci'; readonly path: string; readonly tag: string }
  | { readonly kind: 'docker'; readonly path: string }
  | { readonly kind: 'oci-archive'; readonly path: string; readonly tag: string }
  | { readonly kind: 'docker-archive'; readonly path: string; readonly ref?: string }
  | {
      readonly kind: 'tar' | 'cpio';
      readonly path: string;
      /** From the suffix of the file name. */
      readonly compression: Compression;
    }
  | { readonly kind: 'squashfs' | 'erofs'; readonly path: string }
  | {
      /** A squashfs file system if its name ends in `.raw`, otherwise a directory. */
      readonly kind: 'portable';
      readonly path: string;
    }
  | {
      readonly kind: 'ext4';
      readonly path: string;
      /** Bytes of the file system; without it, a little more than the tree needs. */
      readonly size?: number;
    };

/** The path that stands for standard output. */
export const STDOUT_PATH = '-';

const DEFAULT_TAG = 'latest';
/** Reference names of a layout (OCI image spec, annotations.md, "Pre-Defined Annotation Keys"). */
const TAG = /^[A-Za-z0-9]+([-._:@/+]|--)?([A-Za-z0-9]+([-._:@/+]|--)?)*$/;
/** `NAME[:TAG]`, with a registry before it perhaps (distribution, "reference" grammar). */
const REFERENCE = /^[a-z0-9]+([._:/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$/;

const USAGE =
  'give oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], docker://NAME[:TAG], tar:FILE, cpio:FILE, ' +
  'squashfs:FILE, erofs:FILE, ext4:FILE[:SIZE] or portable:DIR|FILE.raw';

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/**
 * Parses a destination in the syntax of containers-transports(5), so that the same text works for
 * skopeo. A path before a tag, reference or size ends at the first colon; `\:` is a colon in it.
 *
 * @throws JailbuildError USAGE
 */
export function parseDestination(text: string): Destination {
  const usage = (why: string) => new JailbuildError('USAGE', `--to ${text}: ${why}`);
  if (text.startsWith('docker://')) {
    const path = text.slice('docker://'.length);
    parseRegistryName(path);
    return { kind: 'docker', path };
  }
  const colon = text.indexOf(':');
  const kind = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (kind === 'tar' || kind === 'cpio') {
    if (rest === '') throw usage('the path is missing');
    return { kind, path: rest, compression: compressionOf(rest) };
  }
  if (kind === 'squashfs' || kind === 'erofs' || kind === 'portable') {
    if (rest === '') throw usage('the path is missing');
    return { kind, path: rest };
  }
  if (kind !== 'oci' && kind !== 'oci-archive' && kind !== 'docker-archive' && kind !== 'ext4') {
    throw usage(USAGE);
  }
  const [path, name] = splitAtColon(rest);
  if (path === '') throw usage('the path is missing');
  if (kind === 'ext4') {
    if (name === undefined) return { kind, path };
    const [, digits, unit = ''] = /^(\d{1,9})([KMGT]?)$/.exec(name) ?? [];
    if (digits === undefined) throw usage(`${name} is not a size, such as 512M`);
    return { kind, path, size: Number(digits) * (UNITS[unit] ?? 1) };
  }
  if (kind === 'docker-archive') {
    if (name === undefined) return { kind, path };
    if (!REFERENCE.test(name)) throw usage(`${name} is not a reference, such as name:tag`);
    return { kind, path, ref: /:[^/]+$/.test(name) ? name : `${name}:${DEFAULT_TAG}` };
  }
  if (kind === 'oci' && path === STDOUT_PATH) throw usage('a directory cannot be standard output');
  if (name !== undefined && !TAG.test(name)) throw usage(`${name} is not a tag`);
  return { kind, path, tag: name ?? DEFAULT_TAG };
}

function compressionOf(file: string): Compression {
  if (/\.(gz|tgz)$/.test(file)) return 'gzip';
  if (/\.(zst|tzst)$/.test(file)) return 'zstd';
  return 'none';
}

/** Returns whether a destination is a container image, with a configuration. */
export function isContainerImage({ kind }: Pick<Destination, 'kind'>): boolean {
  return kind === 'docker' || kind === 'docker-archive' || kind === 'oci' || kind === 'oci-archive';
}

/**
 * Returns the name of the image that a destination holds: its reference, or what its directory or
 * archive is called; undefined for other forms.
 */
export function nameOfImage(destination: Destination): string | undefined {
  const { kind, path } = destination;
  if (!isContainerImage(destination)) return undefined;
  if (kind === 'docker-archive' && destination.ref !== undefined) return destination.ref;
  const name = basename(path).replace(/\.(tar|tgz|tar\.(gz|zst))$/, '');
  return name === '' || path === STDOUT_PATH ? undefined : name;
}
