import { createHash } from 'node:crypto';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { chunksOf } from '../fs/regular-file.js';
import { ByteReader } from './byte-reader.js';
import { type DebControl, readDeb } from './deb.js';
import { debsIn } from './deb-directory.js';
import type { LayerTree } from './layer-tree.js';
import { boundedBytes, unpackOnce } from './unpack.js';

const DPKG = '/var/lib/dpkg';
/** Directories that are links on merged-/usr systems (Debian 12 and later; file-hierarchy(7)). */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'libo32'];
/** Changes whenever the same packages would give another root. */
const LAYOUT = 'packages 1\n';

/**
 * Unpacks the .deb files of a directory into one root file system in the image cache, with merged /usr and a dpkg
 * database built from the control files. Maintainer scripts are not run: alternatives, users and caches that they would
 * create are missing.
 *
 * @returns the root directory, and a digest of all packages
 * @throws JailbuildError IMAGE_NOT_FOUND, IMAGE_INVALID, NOT_READABLE, TOOL_MISSING, WRITE_FAILED
 */
export async function debRoot(directory: string): Promise<{ root: string; id: string }> {
  const files = debsIn(directory);
  if (files.length === 0) {
    const message = `${directory}: has no .deb files: name the directory that they are in`;
    throw new JailbuildError('IMAGE_NOT_FOUND', message, directory);
  }
  const id = await identityOf(files);
  const root = await unpackOnce(id, { isLayered: false }, (tree) => unpackAll(tree, files));
  return { root, id };
}

/** Returns a digest of the packages, which identifies the root unpacked from them. */
async function identityOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(LAYOUT);
  for (const file of files) {
    const own = createHash('sha256');
    for await (const chunk of chunksOf(file)) own.update(chunk);
    hash.update(own.digest());
  }
  return `debs:${hash.digest('hex')}`;
}

interface Installed extends DebControl {
  readonly file: string;
  /** Its file list in dpkg's format. */
  readonly list: readonly string[];
}

async function unpackAll(tree: LayerTree, files: readonly string[]): Promise<void> {
  for (const name of MERGED) tree.link(name, `usr/${name}`);
  const installed = new Map<string, Installed>();
  for (const file of files) {
    const list: string[] = [];
    const control = await readDeb(file, async (archive, found) => {
      const before = installed.get(keyOf(found));
      if (before !== undefined) {
        throw new JailbuildError(
          'IMAGE_INVALID',
          `${file}: is ${found.package} ${found.version}, and ${path.basename(before.file)} is ${before.version}: remove one`,
          file,
        );
      }
      const where = `${file}: files`;
      const reader = new ByteReader(boundedBytes(archive, where));
      await tree.apply(reader, where, (name) => list.push(name));
    });
    installed.set(keyOf(control), { ...control, file, list });
  }
  for (const name of MERGED) tree.unlinkDangling(name);
  const sorted = [...installed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, own]) => own);
  // File lists have architectures in their names (dpkg, lib/dpkg/infodb-format.c).
  await tree.put(`${DPKG}/info/format`, '1\n');
  await tree.put(`${DPKG}/status`, sorted.map(paragraphOf).join('\n'));
  for (const own of sorted) {
    const base = `${DPKG}/info/${own.multiArch === 'same' ? keyOf(own) : own.package}`;
    await tree.put(`${base}.list`, `${['/.', ...own.list].join('\n')}\n`);
    for (const [name, text] of own.kept) await tree.put(`${base}.${name}`, text);
  }
}

function keyOf({ package: name, architecture }: DebControl): string {
  return `${name}:${architecture}`;
}

/** Returns a paragraph of dpkg's status file (dpkg(1)): the control file with a state added. */
function paragraphOf({ text }: DebControl): string {
  const lines = text.split('\n').filter((line) => !/^Status:/i.test(line));
  return [lines[0], 'Status: install ok installed', ...lines.slice(1)].join('\n');
}
