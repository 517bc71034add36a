import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { readIfThere } from '../evidence/packages/aliases.js';
import type { Sysroot } from '../fs/sysroot.js';
import { STANDARD_PATH } from '../manifest/standard-path.js';
import { type Addition, withAdditions } from './additions.js';
import type { FileTree } from './file-tree.js';

/** Mount points of systemd, which a read-only image must contain (systemd docs, PORTABLE_SERVICES). */
const DIRECTORIES = ['/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp'];
const FILES = ['/etc/resolv.conf', '/etc/machine-id'];
const OS_RELEASE = ['/etc/os-release', '/usr/lib/os-release'];

/**
 * Returns the name of a portable service: that of its image or directory, without a version after an underscore.
 * Its units begin with this name (portablectl(1)).
 *
 * @throws JailbuildError USAGE
 */
export function portableName(place: string): string {
  const [name = ''] = path
    .basename(path.resolve(place))
    .replace(/\.raw$/, '')
    .split('_');
  if (/^[A-Za-z0-9][A-Za-z0-9:.-]*$/.test(name)) return name;
  throw new JailbuildError(
    'USAGE',
    `portable: ${name} is not a name of a service: use letters, digits, dots and hyphens`,
  );
}

/**
 * Makes a tree a portable service: adds its unit, an os-release, and the mount points of systemd.
 *
 * @param sysroot the system whose os-release is taken where the tree has none
 * @param unit the text of NAME.service
 * @param targets what else is mounted in it
 */
export function portableTree(
  tree: FileTree,
  sysroot: Sysroot,
  name: string,
  unit: string,
  targets: ReadonlyMap<string, Addition>,
): FileTree {
  const has = (at: string) => tree.entries.some(({ path: known }) => known === at);
  const additions = new Map<string, Addition>();
  if (!OS_RELEASE.some(has)) {
    const texts = OS_RELEASE.map((at) => readIfThere(sysroot, at));
    const text = texts.find((found) => found !== undefined) ?? 'ID=linux\nNAME=Linux\n';
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('PORTABLE_'));
    additions.set('/usr/lib/os-release', {
      text: [...lines, `PORTABLE_PREFIXES=${name}`, ''].join('\n'),
    });
    additions.set('/etc/os-release', { target: '../usr/lib/os-release' });
  }
  additions.set(`/usr/lib/systemd/system/${name}.service`, { text: unit });
  for (const at of FILES) additions.set(at, { text: '' });
  for (const at of DIRECTORIES) additions.set(at, 'directory');
  for (const [at, target] of targets) additions.set(at, target);
  return withAdditions(tree, additions);
}

/**
 * Refuses a tree that is not a portable service of this name.
 *
 * @throws JailbuildError USAGE, NOT_EXPORTABLE
 */
export function checkPortable({ entries }: FileTree, place: string): void {
  const name = portableName(place);
  const units = /^\/(usr\/lib|lib|etc)\/systemd\/system\/([^/]+)$/;
  const isUnit = ({ path: at }: { readonly path: string }) => {
    const unit = units.exec(at)?.[2] ?? '';
    return unit.startsWith(name) && /^[.@-]/.test(unit.slice(name.length));
  };
  if (entries.some(isUnit)) return;
  throw new JailbuildError(
    'NOT_EXPORTABLE',
    `portable: the root has no unit named ${name}: add /usr/lib/systemd/system/${name}.service`,
  );
}

/**
 * Returns the absolute path of a program in a tree; names are looked up in the standard directories.
 *
 * @throws JailbuildError PROGRAM_NOT_FOUND
 */
export function programInTree({ entries }: FileTree, name: string): string {
  if (name.startsWith('/')) return name;
  const known = new Set(entries.map(({ path: at }) => at));
  const found = STANDARD_PATH.map((directory) => `${directory}/${name}`).find((at) =>
    known.has(at),
  );
  if (found !== undefined && !name.includes('/')) return found;
  throw new JailbuildError(
    'PROGRAM_NOT_FOUND',
    `${name}: is not in the root: give its absolute path`,
    name,
  );
}
