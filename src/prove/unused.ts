import { openPackages } from '../evidence/packages/open.js';
import type { Trace } from '../evidence/trace/trace.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { Manifest } from '../manifest/manifest.js';

/** Files of a jail that a run did not use, of one package or of none. */
export interface UnusedGroup {
  /** Undefined for files that no package owns. */
  readonly package: string | undefined;
  /** Bytes of all its files together. */
  readonly size: number;
  readonly paths: readonly string[];
}

/**
 * Finds the files of a jail that a run did not use, the largest groups first.
 *
 * @param jail the jail's directory
 * @param host where its files are from
 */
export async function findUnused(
  { entries }: Manifest,
  trace: Trace,
  jail: Sysroot,
  host: Sysroot,
): Promise<UnusedGroup[]> {
  const used = new Set(
    trace.files.flatMap(({ path }) => {
      const found = jail.trace(path);
      return isTrace(found) ? [found.path] : [];
    }),
  );
  const unused = entries.flatMap((entry) =>
    entry.type === 'file' && entry.hardlink === undefined && !used.has(entry.path) ? [entry] : [],
  );
  const { database } = await openPackages(host);
  const owners = database?.ownersOf(unused.map(({ path, source }) => source ?? path));
  const groups = new Map<string | undefined, { size: number; paths: string[] }>();
  for (const { path, source, size } of unused) {
    const owner = owners?.get(source ?? path)?.[0]?.name;
    const group = groups.get(owner) ?? { size: 0, paths: [] };
    groups.set(owner, group);
    group.size += size;
    group.paths.push(path);
  }
  return [...groups]
    .map(([owner, group]) => ({ package: owner, ...group }))
    .sort((a, b) => b.size - a.size);
}

/** The unused files as the part of a jail file that leaves them out. */
export function excludesText(groups: readonly UnusedGroup[]): string {
  const paths = groups.flatMap((group) => group.paths).sort();
  if (paths.length === 0) return 'excludes: []\n';
  // A pattern has its special characters between brackets.
  const pattern = (path: string): string => path.replace(/[*?[\]{}()!+@\\]/g, '[$&]');
  return `excludes:\n${paths.map((path) => `  - ${JSON.stringify(pattern(path))}\n`).join('')}`;
}
