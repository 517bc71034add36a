import { allOf, licenseExpression } from './license.js';
import type { InstalledPackage } from './package.js';
import { dpkgRelations } from './relations.js';
import { type Stanza, stanzas } from './stanzas.js';

/** States in which the files of a package exist (dpkg(1), "Package states"). */
const PRESENT = / (installed|triggers-pending|triggers-awaited|half-configured|unpacked)$/;

/** Returns whether the files of a package exist, according to its paragraph of the status file. */
export function isPresent(stanza: Stanza): boolean {
  return PRESENT.test(stanza.get('status') ?? '');
}

/** Returns the package of a paragraph of the status file (deb-control(5)). */
export function packageOf(name: string, stanza: Stanza): InstalledPackage {
  // `NAME`, or `NAME (VERSION)` if the version differs (deb-control(5)).
  const [, source, sourceVersion] = /^(\S+)(?: \((\S+)\))?/.exec(stanza.get('source') ?? '') ?? [];
  const supplier = stanza.get('maintainer');
  const homepage = stanza.get('homepage');
  const section = stanza.get('section')?.replace(/^.*\//, '');
  return {
    type: 'deb',
    name,
    version: stanza.get('version') ?? '',
    architecture: stanza.get('architecture') ?? 'all',
    ...(source === undefined || source === name ? {} : { source }),
    ...(sourceVersion === undefined ? {} : { sourceVersion }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(homepage === undefined ? {} : { homepage }),
    ...(section === undefined ? {} : { section }),
    depends: dpkgRelations(`${stanza.get('pre-depends') ?? ''},${stanza.get('depends') ?? ''}`),
    recommends: dpkgRelations(stanza.get('recommends')),
    suggests: dpkgRelations(stanza.get('suggests')),
    isEssential: stanza.get('essential') === 'yes',
  };
}

/** Returns the names of packages whose paragraphs contain a word. */
export function packagesNaming(status: Buffer, word: string): string[] {
  const text = `\n${status.toString('latin1')}`;
  const found = new Set<string>();
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const start = text.lastIndexOf('\nPackage: ', at);
    if (start < 0) continue;
    const line = start + '\nPackage: '.length;
    found.add(text.slice(line, text.indexOf('\n', line)).trim());
    const next = text.indexOf('\n\n', at);
    if (next < 0) break;
    at = next;
  }
  return [...found];
}

/** Returns whether a status file contains text but no package. */
export function isDamaged(status: Buffer): boolean {
  if (status.indexOf('Package: ') === 0 || status.includes('\nPackage: ')) return false;
  return status.toString('latin1').trim() !== '';
}

/**
 * Returns the licenses that the file paragraphs of a copyright file name; undefined if the file is
 * not in the machine-readable format.
 */
export function debianLicense(copyright: string): string | undefined {
  if (!/^Format(-Specification)?:/im.test(copyright.slice(0, 2000))) return undefined;
  const licenses = [...stanzas(copyright)].flatMap((stanza) => {
    const name = stanza.has('files') ? stanza.get('license')?.split('\n')[0] : undefined;
    return licenseExpression(name ?? '') ?? [];
  });
  return allOf(licenses);
}
