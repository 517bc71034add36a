import { createHash } from 'node:crypto';
import { readIfThere } from '../evidence/packages/aliases.js';
import { packageOwners } from '../evidence/packages/owners.js';
import type { Package } from '../evidence/packages/package.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { FileEntry } from '../manifest/manifest.js';
import { withAdditions } from './additions.js';
import { Chunks, type FileTree } from './file-tree.js';
import type { SourceTree } from './source.js';

const DPKG = '/var/lib/dpkg';
const APK = '/lib/apk/db/installed';
/** Files by which scanners identify the distribution. */
const RELEASE_FILES = [
  '/etc/os-release',
  '/etc/debian_version',
  '/etc/alpine-release',
  '/etc/redhat-release',
  '/etc/fedora-release',
];
/** Fields of a control file that scanners and inventories read (deb-control(5)). */
const DPKG_FIELDS =
  /^(Package|Status|Architecture|Multi-Arch|Version|Source|Section|Priority|Maintainer|Homepage|Essential):/;

/** A tree with a database of the packages that own its files. */
export interface WithDatabase {
  readonly tree: FileTree;
  readonly warnings: readonly string[];
}

/**
 * Adds a package database that lists only what is in a tree, for vulnerability scanners: for dpkg a file of `status.d` for each package with the MD5 sums of its files, as images
 * without a package manager have it; for apk a reduced `installed`, for rpm a reduced SQLite database. The files that
 * name the distribution come along.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED
 */
export async function withPackageDatabase(source: SourceTree): Promise<WithDatabase> {
  const { tree, sysroot, originOf } = source;
  const files = tree.entries.filter((entry) => entry.type === 'file');
  const origins = new Map<string, FileEntry>();
  for (const entry of files) {
    const origin = originOf(entry);
    if (origin !== undefined) origins.set(origin, entry);
  }
  const { owners, warnings } = await packageOwners(sysroot, [...origins.keys()]);
  const filesOf = new Map<Package, FileEntry[]>();
  for (const [origin, owner] of owners) {
    const entry = origins.get(origin);
    if (entry !== undefined) filesOf.set(owner, [...(filesOf.get(owner) ?? []), entry]);
  }
  const made = new Map<string, string | Buffer>();
  const byName = [...filesOf].sort(([a], [b]) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const debian = byName.filter(([owner]) => owner.type === 'deb');
  if (debian.length > 0) {
    const controls = dpkgControls(source);
    for (const [owner, own] of debian) {
      const same = debian.filter(([other]) => other.name === owner.name).length > 1;
      const name = same ? `${owner.name}:${owner.architecture}` : owner.name;
      made.set(`${DPKG}/status.d/${name}`, controls.get(keyOf(owner)) ?? dpkgControl(owner));
      made.set(`${DPKG}/status.d/${name}.md5sums`, md5sums(own, tree.sourceRoot));
    }
  }
  const alpine = byName.filter(([owner]) => owner.type === 'apk');
  if (alpine.length > 0) made.set(APK, apkInstalled(source, new Map(alpine)));
  const kept = new Set(
    byName.filter(([owner]) => owner.type === 'rpm').map(([owner]) => idOf(owner)),
  );
  if (kept.size > 0) {
    const { reduceRpmDatabase } = await import('../evidence/packages/rpm.js');
    const reduced = await reduceRpmDatabase(sysroot, (owner) => kept.has(idOf(owner)));
    if (reduced !== undefined) made.set(reduced.path, reduced.content);
  }
  if (made.size > 0) {
    for (const path of RELEASE_FILES) {
      const text = readIfThere(sysroot, path);
      if (text !== undefined) made.set(path, text);
    }
  }
  const texts = new Map([...made].map(([path, text]) => [path, { text }]));
  return { tree: withAdditions(tree, texts), warnings };
}

function keyOf({ name, architecture }: Package): string {
  return `${name}:${architecture}`;
}

function idOf({ name, version, architecture }: Package): string {
  return `${name} ${version} ${architecture}`;
}

/** Returns the control paragraphs of the source, by name and architecture. */
function dpkgControls({ sysroot }: SourceTree): Map<string, string> {
  const texts = [
    readIfThere(sysroot, `${DPKG}/status`) ?? '',
    ...namesIn(sysroot, `${DPKG}/status.d`)
      .filter((name) => !name.endsWith('.md5sums'))
      .map((name) => readIfThere(sysroot, `${DPKG}/status.d/${name}`) ?? ''),
  ];
  const controls = new Map<string, string>();
  for (const paragraph of texts.flatMap((text) => text.split(/\n\n+/))) {
    const lines = paragraph.split('\n').filter((line) => DPKG_FIELDS.test(line));
    const value = (field: string) =>
      lines.find((line) => line.startsWith(`${field}: `))?.slice(field.length + 2);
    const key = `${value('Package')}:${value('Architecture')}`;
    const status = value('Status') === undefined ? ['Status: install ok installed'] : [];
    controls.set(key, `${[...lines, ...status].join('\n')}\n\n`);
  }
  return controls;
}

function namesIn(sysroot: Sysroot, directory: string): string[] {
  const found = sysroot.trace(directory);
  return isTrace(found) && found.stat.type === 'directory' ? sysroot.list(found) : [];
}

function dpkgControl({ name, version, architecture, source, supplier }: Package): string {
  const lines = [
    `Package: ${name}`,
    'Status: install ok installed',
    ...(supplier === undefined ? [] : [`Maintainer: ${supplier}`]),
    `Architecture: ${architecture}`,
    ...(source === undefined ? [] : [`Source: ${source}`]),
    `Version: ${version}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

function md5sums(entries: readonly FileEntry[], sourceRoot: string): string {
  const lines = entries.map((entry) => {
    const hash = createHash('md5');
    const chunks = new Chunks({ sourceRoot });
    for (const part of chunks.content(entry)) hash.update(part);
    for (const part of chunks.end()) hash.update(part);
    return `${hash.digest('hex')}  ${entry.path.slice(1)}\n`;
  });
  return lines.join('');
}

/** Paragraphs of packages (apk-tools, "installed database"), limited to files in the tree. */
function apkInstalled(
  { sysroot }: SourceTree,
  filesOf: ReadonlyMap<Package, readonly FileEntry[]>,
): string {
  const paths = new Map(
    [...filesOf].map(([owner, files]) => [
      `${owner.name} ${owner.version}`,
      new Set(files.map(({ source, path }) => source ?? path)),
    ]),
  );
  const paragraphs = (readIfThere(sysroot, APK) ?? '').split(/\n\n+/).flatMap((paragraph) => {
    const lines = paragraph.split('\n');
    const value = (key: string) => lines.find((line) => line.startsWith(`${key}:`))?.slice(2);
    const kept = paths.get(`${value('P')} ${value('V')}`);
    if (kept === undefined) return [];
    const out: string[] = [];
    let directory = '';
    let isTold = false;
    let isKept = true;
    for (const line of lines) {
      if (/^[FMRaZ]:/.test(line)) {
        if (line.startsWith('F:')) {
          directory = line.slice(2);
          isTold = false;
        } else if (line.startsWith('R:')) {
          const inside = `/${directory}${directory === '' ? '' : '/'}${line.slice(2)}`;
          const found = sysroot.trace(inside);
          isKept = kept.has(inside) || (isTrace(found) && kept.has(found.path));
          if (!isKept) continue;
          if (!isTold) out.push(`F:${directory}`);
          isTold = true;
          out.push(line);
        } else if (isTold && isKept && /^[aZ]:/.test(line)) {
          out.push(line);
        }
      } else if (line !== '') {
        out.push(line);
      }
    }
    return [`${out.join('\n')}\n\n`];
  });
  return paragraphs.join('');
}
