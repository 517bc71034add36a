import { isTrace, type Sysroot } from '../../fs/sysroot.js';
import { databaseNames, readIfThere } from './aliases.js';
import { allOf, licenseExpression } from './license.js';
import type { Ownership, Package } from './package.js';
import { type Stanza, stanzas } from './stanzas.js';

const DATABASE = '/var/lib/dpkg';

/**
 * Which Debian packages own files: from dpkg's status file and lists of files (dpkg(1), "FILES"), and
 * from status.d, which images without a package manager have. Diverted files belong to the package
 * that they were diverted for or from (dpkg-divert(1)).
 *
 * @returns undefined if the sysroot has no such database
 */
export function dpkgOwners(sysroot: Sysroot, paths: readonly string[]): Ownership | undefined {
  const status = readIfThere(sysroot, `${DATABASE}/status`);
  const parts = namesIn(sysroot, `${DATABASE}/status.d`);
  if (status === undefined && parts.length === 0) return undefined;

  const wanted = databaseNames(sysroot, paths);
  const diversions = readDiversions(readIfThere(sysroot, `${DATABASE}/diversions`) ?? '');
  const owners = new Map<string, Package>();
  const claim = (owner: () => Package, name: string, listed: string): void => {
    const diverted = diversions.get(listed);
    const at = diverted === undefined || diverted.by === name ? listed : diverted.to;
    const path = wanted.get(at);
    if (path !== undefined && !owners.has(path)) owners.set(path, owner());
  };

  const lists = new Set(namesIn(sysroot, `${DATABASE}/info`));
  for (const stanza of stanzas(status ?? '')) {
    const name = stanza.get('package');
    if (name === undefined || !/ installed$/.test(stanza.get('status') ?? '')) continue;
    const list = [`${name}:${stanza.get('architecture')}.list`, `${name}.list`].find((file) =>
      lists.has(file),
    );
    if (list === undefined) continue;
    const owner = lazyPackage(sysroot, name, stanza);
    const text = readIfThere(sysroot, `${DATABASE}/info/${list}`) ?? '';
    for (const line of text.split('\n')) claim(owner, name, line);
  }
  for (const part of parts.filter((file) => !file.endsWith('.md5sums'))) {
    const [stanza] = stanzas(readIfThere(sysroot, `${DATABASE}/status.d/${part}`) ?? '');
    const name = stanza?.get('package');
    if (stanza === undefined || name === undefined) continue;
    const owner = lazyPackage(sysroot, name, stanza);
    const sums = readIfThere(sysroot, `${DATABASE}/status.d/${part}.md5sums`) ?? '';
    for (const line of sums.split('\n')) {
      claim(owner, name, `/${line.replace(/^[0-9a-f]{32}\s+\.?\/?/, '')}`);
    }
  }
  return { owners, warnings: [] };
}

function namesIn(sysroot: Sysroot, directory: string): string[] {
  const found = sysroot.trace(directory);
  return isTrace(found) && found.stat.type === 'directory' ? sysroot.list(found) : [];
}

/** Packages that own nothing of what is asked for are not looked at closer. */
function lazyPackage(sysroot: Sysroot, name: string, stanza: Stanza): () => Package {
  let made: Package | undefined;
  return () => {
    made ??= packageOf(sysroot, name, stanza);
    return made;
  };
}

function packageOf(sysroot: Sysroot, name: string, stanza: Stanza): Package {
  const license = debianLicense(readIfThere(sysroot, `/usr/share/doc/${name}/copyright`) ?? '');
  const source = stanza.get('source')?.split(' ')[0];
  const supplier = stanza.get('maintainer');
  const homepage = stanza.get('homepage');
  return {
    type: 'deb',
    name,
    version: stanza.get('version') ?? '',
    architecture: stanza.get('architecture') ?? 'all',
    ...(source === undefined || source === name ? {} : { source }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(homepage === undefined ? {} : { homepage }),
    ...(license === undefined ? {} : { license }),
  };
}

/**
 * All licenses that the paragraphs of files name. Copyright files that are not in the machine-readable
 * format say nothing that could be relied on.
 */
export function debianLicense(copyright: string): string | undefined {
  if (!/^Format(-Specification)?:/im.test(copyright.slice(0, 2000))) return undefined;
  const licenses = [...stanzas(copyright)].flatMap((stanza) => {
    const name = stanza.has('files') ? stanza.get('license')?.split('\n')[0] : undefined;
    return licenseExpression(name ?? '') ?? [];
  });
  return allOf(licenses);
}

/** Three lines each: the file, where it is instead, and the package that wants its place. */
function readDiversions(text: string): Map<string, { readonly to: string; readonly by: string }> {
  const lines = text.split('\n');
  const diversions = new Map<string, { to: string; by: string }>();
  for (let index = 0; index + 2 < lines.length; index += 3) {
    const [from = '', to = '', by = ''] = lines.slice(index, index + 3);
    diversions.set(from, { to, by });
  }
  return diversions;
}
