import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  type Dirent,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { errnoOf, JailbuildError, strerror } from '../errors.js';
import { cacheDirectory, changersOf } from '../fs/cache-directory.js';
import { toBytes } from '../fs/path-bytes.js';
import {
  ATTRIBUTES_FILE,
  attributesText,
  RECORDED_ROOT,
  type RecordedAttributes,
  recordedAttributes,
} from '../fs/recorded-attributes.js';
import { ByteReader } from './byte-reader.js';
import { decompress } from './decompress.js';
import { type ContentStore, type ImageNode, type LayerOptions, LayerTree } from './layer-tree.js';
import { type SourceImage, verified } from './source-image.js';

/** Limits against decompression bombs, far beyond any real image: 4 million members and 64 GiB. */
const LIMITS = { entries: 4_000_000, bytes: 64 * 2 ** 30 };
/** Size in bytes to which the cache is reduced when another image is unpacked. */
const CACHE_SIZE = 10 * 2 ** 30;
/** Images used more recently than this may be in use, in milliseconds. */
const IN_USE = 3_600_000;

/**
 * Unpacks an image into the cache below XDG_CACHE_HOME, by the digest of its configuration, unless it is already there.
 *
 * @returns the root directory
 * @throws JailbuildError IMAGE_INVALID, WRITE_FAILED
 */
export async function unpackImage(image: SourceImage, where: string): Promise<string> {
  return unpackOnce(image.id, { isLayered: true }, async (tree) => {
    for (const [index, layer] of image.layers.entries()) {
      const name = `${where}: layer ${index + 1}`;
      const stored =
        layer.digest === undefined ? layer.open() : verified(layer.open(), layer.digest, name);
      const plain = verified(boundedBytes(decompress(stored, name), name), layer.diffId, name);
      const reader = new ByteReader(plain);
      await tree.apply(reader, name);
      // Read to the end, where the digest is compared.
      while ((await reader.skip(1 << 20)) > 0);
    }
  });
}

/**
 * Makes a root in the cache unless it is already there. Owners, modes, devices and extended attributes are recorded
 * beside the files, so that no privileges are needed. The root appears complete or not at all, and concurrent calls for
 * the same root do not conflict.
 *
 * @param id a kind and a digest, such as `sha256:HEX`
 * @returns the root directory
 * @throws JailbuildError WRITE_FAILED, and errors of `fill`
 */
export async function unpackOnce(
  id: string,
  options: LayerOptions,
  fill: (tree: LayerTree) => Promise<void>,
): Promise<string> {
  const cache = cacheDirectory('images');
  const place = path.join(cache, id.replace(':', '-'));
  const root = path.join(place, RECORDED_ROOT);
  let draft: string | undefined;
  try {
    refuseShared(cache);
    if (isComplete(place)) {
      const now = new Date();
      utimesSync(toBytes(place), now, now);
      return root;
    }
    mkdirSync(toBytes(cache), { recursive: true, mode: 0o700 });
    // Another user could have made it in the meantime.
    refuseShared(cache);
    const own = path.join(cache, `.unpacking-${randomUUID()}`);
    mkdirSync(toBytes(own), { mode: 0o700 });
    draft = own;
    await unpackInto(draft, options, fill);
    publish(draft, place);
    makeRoom(cache, place);
    return root;
  } catch (error) {
    if (errnoOf(error) === undefined || error instanceof JailbuildError) throw error;
    throw new JailbuildError('WRITE_FAILED', `${cache}: ${strerror(error)}`, cache);
  } finally {
    if (draft !== undefined) rmSync(toBytes(draft), { recursive: true, force: true });
  }
}

/** @throws JailbuildError WRITE_FAILED if others could put other files in place of an image's */
function refuseShared(cache: string): void {
  const found = changersOf(cache);
  if (found === undefined) return;
  throw new JailbuildError(
    'WRITE_FAILED',
    `${cache}: ${found.path} ${found.why}, who could change unpacked images: set XDG_CACHE_HOME to a directory of your own`,
    cache,
  );
}

/** Returns whether a place has all that was unpacked: the attributes are written last. */
function isComplete(place: string): boolean {
  const root = path.join(place, RECORDED_ROOT);
  return recordedAttributes(root) !== undefined && existsSync(toBytes(root));
}

function publish(draft: string, place: string): void {
  try {
    renameSync(toBytes(draft), toBytes(place));
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
    // Another process may have finished first, with the same content.
    if (isComplete(place)) return;
    discard(place);
    renameSync(toBytes(draft), toBytes(place));
  }
}

/**
 * Removes a directory of the cache, which first gets another name.
 *
 * @throws system errors if it cannot be renamed
 */
function discard(place: string): void {
  const trash = `${place}.removed-${process.pid}`;
  renameSync(toBytes(place), toBytes(trash));
  rmSync(toBytes(trash), { recursive: true, force: true });
}

async function unpackInto(
  draft: string,
  options: LayerOptions,
  fill: (tree: LayerTree) => Promise<void>,
): Promise<void> {
  const pool = path.join(draft, 'pool');
  mkdirSync(toBytes(pool), { mode: 0o700 });
  const tree = new LayerTree(new Pool(pool), { ...LIMITS, bytes: mostBytes() }, options);
  await fill(tree);
  const attributes: [string, RecordedAttributes][] = [];
  materialize(tree.root, path.join(draft, RECORDED_ROOT), pool, attributes);
  rmSync(toBytes(pool), { recursive: true });
  writeFileSync(toBytes(path.join(draft, ATTRIBUTES_FILE)), attributesText(attributes), {
    mode: 0o600,
  });
}

function mostBytes(): number {
  const limit = Number(process.env.JAILBUILD_IMAGE_LIMIT);
  return Number.isSafeInteger(limit) && limit > 0 ? limit : LIMITS.bytes;
}

/**
 * Passes on a decompressed archive up to a limit in bytes. Headers count as well, since an archive can consist of
 * members without content.
 *
 * @throws JailbuildError IMAGE_INVALID
 */
export async function* boundedBytes(
  chunks: AsyncIterable<Buffer>,
  where: string,
): AsyncGenerator<Buffer> {
  const most = mostBytes() * 2;
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > most) {
      throw new JailbuildError(
        'IMAGE_INVALID',
        `${where}: unpacks to more than ${most} bytes: raise JAILBUILD_IMAGE_LIMIT`,
        where,
      );
    }
    yield chunk;
  }
}

/** Stores content by number in one directory. */
class Pool implements ContentStore {
  readonly #directory: string;
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async put(content: AsyncGenerator<Buffer>): Promise<number> {
    const number = this.#count++;
    const fd = openSync(toBytes(path.join(this.#directory, String(number))), 'wx', 0o644);
    try {
      for await (const part of content) {
        for (let done = 0; done < part.length; ) done += writeSync(fd, part, done);
      }
    } finally {
      closeSync(fd);
    }
    return number;
  }

  drop(stored: number): void {
    unlinkSync(toBytes(path.join(this.#directory, String(stored))));
  }
}

/** Creates the tree in a directory that nobody else can change; names are single components. */
function materialize(
  root: ImageNode,
  directory: string,
  pool: string,
  attributes: [string, RecordedAttributes][],
): void {
  const placed = new Map<object, string>();
  const make = (node: ImageNode, inside: string): void => {
    const at = toBytes(directory + inside);
    const { type, mode, uid, gid, mtime, major, minor, xattrs } = node.header;
    const isDevice = type === 'character-device' || type === 'block-device';
    attributes.push([
      inside || '/',
      {
        type: type === 'hardlink' ? 'file' : type,
        mode: node.target === undefined ? mode : 0o777,
        uid,
        gid,
        ...(isDevice ? { major, minor } : {}),
        ...(Object.keys(xattrs).length === 0 ? {} : { xattrs }),
      },
    ]);
    const time = Math.max(0, mtime);
    if (node.children !== undefined) {
      mkdirSync(at, { mode: 0o755 });
      for (const [name, child] of node.children) make(child, `${inside}/${name}`);
      utimesSync(at, time, time);
      return;
    }
    if (node.target !== undefined) {
      symlinkSync(toBytes(node.target), at);
      lutimesSync(at, time, time);
      return;
    }
    if (node.content === undefined) {
      // Stands for a device node, whose numbers are recorded.
      writeFileSync(at, '', { flag: 'wx', mode: 0o644 });
      return;
    }
    const first = placed.get(node.content);
    if (first !== undefined) {
      linkSync(toBytes(first), at);
      return;
    }
    renameSync(toBytes(path.join(pool, String(node.content.stored))), at);
    chmodSync(at, 0o644);
    utimesSync(at, time, time);
    placed.set(node.content, directory + inside);
  };
  make(root, '');
}

/** Removes the least recently used roots until the cache is within its limit. */
function makeRoom(cache: string, keep: string): void {
  const given = Number(process.env.JAILBUILD_CACHE_SIZE);
  const most =
    Number.isSafeInteger(given) && given >= 0 && process.env.JAILBUILD_CACHE_SIZE
      ? given
      : CACHE_SIZE;
  const places = readdirSync(toBytes(cache), { encoding: 'utf8' })
    .map((name) => path.join(cache, name))
    .flatMap((place) => {
      const stat = statSync(toBytes(place), { throwIfNoEntry: false });
      return stat === undefined
        ? []
        : [{ place, used: stat.mtimeMs, size: sizeOf(toBytes(place)) }];
    })
    .sort((a, b) => a.used - b.used);
  let total = places.reduce((sum, { size }) => sum + size, 0);
  for (const { place, used, size } of places) {
    if (total <= most) return;
    if (place === keep || Date.now() - used < IN_USE) continue;
    try {
      discard(place);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      continue;
    }
    total -= size;
  }
}

/** Returns the sum of the sizes of files; another process may be removing some. */
function sizeOf(directory: string | Buffer): number {
  let size = 0;
  for (const item of entriesOf(directory)) {
    const at = Buffer.concat([Buffer.from(directory), Buffer.from('/'), item.name]);
    if (item.isDirectory()) size += sizeOf(at);
    else size += lstatSync(at, { throwIfNoEntry: false })?.size ?? 0;
  }
  return size;
}

function entriesOf(directory: string | Buffer): readonly Dirent<Buffer>[] {
  try {
    return readdirSync(directory, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
