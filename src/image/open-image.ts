import { closeSync, existsSync, readSync } from 'node:fs';
import path from 'node:path';
import { toBytes } from '../fs/path-bytes.js';
import { readTextFile } from '../fs/read-text.js';
import { chunksOf, openRegularFile } from '../fs/regular-file.js';
import { ByteReader } from './byte-reader.js';
import type { Platform } from './platform.js';
import type { ImageReference } from './reference.js';
import type { RegistryOptions } from './registry/access.js';
import {
  type BlobSource,
  imageOfIndex,
  invalid,
  notFound,
  readConfig,
  type SourceImage,
} from './source-image.js';
import { readTar } from './tar-reader.js';

/** Maximum size of a layout's index, in bytes: it lists every image in it. */
const MAX_INDEX = 16 << 20;

/**
 * Opens an image: reads its manifest and configuration, verifying their digests, and no layer yet.
 *
 * @param platform selects one of several images
 * @throws JailbuildError IMAGE_NOT_FOUND, IMAGE_INVALID, NOT_READABLE, REGISTRY_FAILED
 */
export async function openImage(
  reference: ImageReference,
  platform: Platform,
  registry: RegistryOptions = {},
): Promise<SourceImage> {
  switch (reference.kind) {
    case 'oci':
      return openLayout(reference.path, reference.name, platform);
    case 'oci-archive':
    case 'docker-archive':
      return openArchive(reference.path, reference.name, platform);
    case 'docker': {
      const { openRegistryImage } = await import('./registry-image.js');
      return openRegistryImage(reference.name, platform, registry);
    }
  }
}

async function openLayout(
  directory: string,
  name: string | undefined,
  platform: Platform,
): Promise<SourceImage> {
  const index = path.join(directory, 'index.json');
  if (!existsSync(toBytes(index)))
    throw notFound(directory, 'is not an OCI image layout: it has no index.json');
  const source: BlobSource = {
    where: directory,
    async *open(digest) {
      const file = path.join(directory, 'blobs', digest.replace(':', '/'));
      if (!existsSync(toBytes(file))) throw invalid(directory, `has no blob ${digest}`);
      yield* chunksOf(file);
    },
  };
  return imageOfIndex(source, readTextFile(index, MAX_INDEX), name, platform);
}

interface Member {
  readonly start: number;
  readonly size: number;
}

/** Opens a `docker save` archive or an archived image layout; newer versions of Docker write both. */
async function openArchive(
  file: string,
  name: string | undefined,
  platform: Platform,
): Promise<SourceImage> {
  const members = await membersOf(file);
  const open = (member: string): AsyncIterable<Buffer> => {
    const found = members.get(member);
    if (found === undefined) throw invalid(file, `has no ${member}`);
    return chunksOf(file, found.start, found.size);
  };
  const text = async (member: string): Promise<string> => {
    if ((members.get(member)?.size ?? 0) > 4 << 20) throw invalid(file, `${member} is too large`);
    const parts: Buffer[] = [];
    for await (const part of open(member)) parts.push(part);
    return Buffer.concat(parts).toString();
  };
  if (!members.has('manifest.json')) {
    if (!members.has('index.json')) {
      throw notFound(file, 'is not an image archive: it has no index.json and no manifest.json');
    }
    const source: BlobSource = {
      where: file,
      open: (digest) => open(`blobs/${digest.replace(':', '/')}`),
    };
    return imageOfIndex(source, await text('index.json'), name, platform);
  }
  return dockerImage(file, await text('manifest.json'), name, open);
}

interface DockerImage {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

async function dockerImage(
  file: string,
  list: string,
  name: string | undefined,
  open: (member: string) => AsyncIterable<Buffer>,
): Promise<SourceImage> {
  const images = dockerImages(list, file);
  const wanted = name === undefined || /:[^/]+$/.test(name) ? name : `${name}:latest`;
  const fits = images.filter(
    ({ RepoTags }) =>
      wanted === undefined || RepoTags?.some((tag) => tag === wanted || tag.endsWith(`/${wanted}`)),
  );
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
  const [image, ...others] = fits;
  if (image === undefined) throw notFound(file, `has no image ${name}; it has ${tags.join(', ')}`);
  if (others.length > 0) throw notFound(file, `has several images: name one of ${tags.join(', ')}`);
  // The configuration's digest appears only in its name.
  const hex = /([0-9a-f]{64})(\.json)?$/.exec(image.Config)?.[1];
  const digest = `sha256:${hex}`;
  if (hex === undefined) throw invalid(file, `${image.Config}: does not name a digest`);
  const source: BlobSource = { where: file, open: () => open(image.Config) };
  const { facts, diffIds } = await readConfig(source, digest, image.Layers.length);
  return {
    ...facts,
    layers: image.Layers.map((member, index) => ({
      digest: undefined,
      diffId: diffIds[index] ?? '',
      open: () => open(member),
    })),
  };
}

function dockerImages(text: string, file: string): DockerImage[] {
  try {
    const list = JSON.parse(text) as DockerImage[];
    const isList =
      Array.isArray(list) &&
      list.every(({ Config, Layers }) => typeof Config === 'string' && Array.isArray(Layers));
    if (isList) return list;
  } catch {
    // Reported below.
  }
  throw invalid(file, 'has a manifest.json that docker save did not write');
}

/** Locates the members of an archive. Follows links between them, which `docker save` creates. */
async function membersOf(file: string): Promise<Map<string, Member>> {
  const fd = openRegularFile(file);
  try {
    const magic = Buffer.alloc(4);
    readSync(fd, magic, 0, 4, 0);
    if ((magic[0] === 0x1f && magic[1] === 0x8b) || magic.readUInt32LE() === 0xfd2fb528) {
      throw invalid(file, 'is compressed: decompress it first, with gunzip or unzstd');
    }
    const members = new Map<string, Member>();
    const links = new Map<string, string>();
    const reader = new SeekingReader(fd);
    for await (const { header } of readTar(reader, file)) {
      const member = header.name.replace(/^\.?\/+/, '').replace(/\/+$/, '');
      if (header.type === 'file') members.set(member, { start: reader.offset, size: header.size });
      if (header.type === 'symlink' || header.type === 'hardlink') {
        const base = header.type === 'symlink' ? path.posix.dirname(member) : '';
        links.set(member, path.posix.join(base, header.linkname));
      }
      if (members.size + links.size > 100_000) throw invalid(file, 'has too many members');
    }
    for (const [link, target] of links) {
      const found = members.get(target);
      if (found !== undefined) members.set(link, found);
    }
    return members;
  } finally {
    closeSync(fd);
  }
}

/** Skips content without reading it. */
class SeekingReader extends ByteReader {
  readonly #fd: number;

  constructor(fd: number) {
    super((async function* () {})());
    this.#fd = fd;
  }

  override async take(count: number): Promise<Buffer> {
    const buffer = Buffer.alloc(count);
    const length = readSync(this.#fd, buffer, 0, count, this.offset);
    this.offset += length;
    return buffer.subarray(0, length);
  }

  override async skip(count: number): Promise<number> {
    if (count <= 0) return 0;
    // If the last byte exists, so does everything before it.
    const last = Buffer.alloc(1);
    if (readSync(this.#fd, last, 0, 1, this.offset + count - 1) === 0) return 0;
    this.offset += count;
    return count;
  }
}
