import type { Sysroot } from '../../fs/sysroot.js';
import { readIfThere } from './aliases.js';
import { licenseExpression } from './license.js';
import { LoadedDatabase, type PackageRecord } from './loaded-database.js';
import { apkCapabilities } from './relations.js';

const DATABASES = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'];

/**
 * Opens the database of apk (apk(5) and the wiki's "Apk spec"). `F:` names a directory, `R:` a file
 * in it.
 *
 * @returns undefined if the sysroot has none, and a sentence if it cannot be used
 */
export function openApkDatabase(sysroot: Sysroot): LoadedDatabase | string | undefined {
  for (const file of DATABASES) {
    const text = readIfThere(sysroot, file);
    if (text === undefined) continue;
    if (text.trim() !== '' && !/^P:./m.test(text)) {
      return `${file}: is damaged: its packages are ignored`;
    }
    return new LoadedDatabase(sysroot, text.split('\n\n').flatMap(recordOf));
  }
  return undefined;
}

function recordOf(paragraph: string): PackageRecord | [] {
  const fields = new Map<string, string>();
  const files: string[] = [];
  let directory = '';
  for (const line of paragraph.split('\n')) {
    const [key, value] = [line.slice(0, 2), line.slice(2)];
    if (key === 'F:') {
      directory = value === '' ? '' : `/${value}`;
      if (directory !== '') files.push(directory);
    } else if (key === 'R:') files.push(`${directory}/${value}`);
    else if (!fields.has(key)) fields.set(key, value);
  }
  const name = fields.get('P:');
  if (name === undefined) return [];
  const source = fields.get('o:');
  const supplier = fields.get('m:');
  const homepage = fields.get('U:');
  return {
    installed: {
      type: 'apk',
      name,
      version: fields.get('V:') ?? '',
      architecture: fields.get('A:') ?? 'noarch',
      ...(source === undefined || source === name ? {} : { source }),
      ...(supplier === undefined ? {} : { supplier }),
      ...(homepage === undefined ? {} : { homepage }),
      depends: apkCapabilities(fields.get('D:')).map((capability) => [capability]),
      recommends: [],
      suggests: [],
      isEssential: false,
    },
    provides: apkCapabilities(fields.get('p:')),
    license: licenseExpression(fields.get('L:') ?? ''),
    files,
  };
}
