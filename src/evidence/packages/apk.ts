import type { Sysroot } from '../../fs/sysroot.js';
import { databaseNames, readIfThere } from './aliases.js';
import { licenseExpression } from './license.js';
import type { Ownership, Package } from './package.js';

const DATABASES = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'];

/**
 * Which Alpine packages own files: from the database of apk (apk(5) and the wiki's "Apk spec"), where
 * `F:` names a directory and `R:` a file in it.
 *
 * @returns undefined if the sysroot has no such database
 */
export function apkOwners(sysroot: Sysroot, paths: readonly string[]): Ownership | undefined {
  const text = DATABASES.map((file) => readIfThere(sysroot, file)).find(
    (found) => found !== undefined,
  );
  if (text === undefined) return undefined;
  const wanted = databaseNames(sysroot, paths);
  const owners = new Map<string, Package>();
  for (const paragraph of text.split('\n\n')) {
    const fields = new Map<string, string>();
    const files: string[] = [];
    let directory = '';
    for (const line of paragraph.split('\n')) {
      const [key, value] = [line.slice(0, 2), line.slice(2)];
      if (key === 'F:') directory = value === '' ? '' : `/${value}`;
      else if (key === 'R:') files.push(`${directory}/${value}`);
      else if (!fields.has(key)) fields.set(key, value);
    }
    const found = files.flatMap((file) => wanted.get(file) ?? []);
    if (found.length === 0) continue;
    const owner = packageOf(fields);
    for (const path of found) owners.set(path, owner);
  }
  return { owners, warnings: [] };
}

function packageOf(fields: ReadonlyMap<string, string>): Package {
  const name = fields.get('P:') ?? '';
  const source = fields.get('o:');
  const supplier = fields.get('m:');
  const homepage = fields.get('U:');
  const license = licenseExpression(fields.get('L:') ?? '');
  return {
    type: 'apk',
    name,
    version: fields.get('V:') ?? '',
    architecture: fields.get('A:') ?? 'noarch',
    ...(source === undefined || source === name ? {} : { source }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(homepage === undefined ? {} : { homepage }),
    ...(license === undefined ? {} : { license }),
  };
}
