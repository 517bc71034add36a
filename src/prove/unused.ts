import { openPackages } from '../evidence/packages/open.js';
import type { Trace } from '../evidence/trace/trace.js';
import { isTrace, type Sysroot } from '../fs/sysroot.js';
import type { Entry, Manifest } from '../manifest/manifest.js';
import {
  UNUSED_SCHEMA,
  type UnusedFiles,
  type UnusedGroup,
  type UnusedRun,
} from '../manifest/unused-files.js';

/** A run in a jail, and the files that it used. */
export interface JailRun extends UnusedRun {
  readonly trace: Trace;
}

type FileEntry = Extract<Entry, { readonly type: 'file' }>;

/**
 * Finds the files of a jail that no run used, the largest groups first.
 *
 * @param jail the jail's directory
 * @param host the root that its files come from
 */
export async function findUnused(
  { entries }: Manifest,
  runs: readonly JailRun[],
  jail: Sysroot,
  host: Sysroot,
): Promise<UnusedFiles> {
  const used = usedPaths(entries, runs, jail);
  const files = entries.flatMap((entry) => (isOwnFile(entry) ? [entry] : []));
  const unused = files.filter(({ path }) => !used.has(path));
  return {
    schema: UNUSED_SCHEMA,
    runs: runs.map(({ name, command }) => ({ ...(name === undefined ? {} : { name }), command })),
    incomplete: runs.reduce((sum, { trace }) => sum + trace.incomplete, 0),
    total: sumOf(files),
    unused: sumOf(unused),
    groups: await groupsOf(unused, host),
  };
}

/** Returns whether an entry is a file under its first name. */
function isOwnFile(entry: Entry): entry is FileEntry {
  return entry.type === 'file' && entry.hardlink === undefined;
}

/** Returns the paths that runs used, after following links; hard links under all their names. */
function usedPaths(
  entries: readonly Entry[],
  runs: readonly JailRun[],
  jail: Sysroot,
): ReadonlySet<string> {
  const looked = new Set(runs.flatMap(({ trace }) => trace.files.map(({ path }) => path)));
  const used = new Set(
    [...looked].flatMap((path) => {
      const found = jail.trace(path);
      return isTrace(found) ? [found.path] : [];
    }),
  );
  for (const entry of entries) {
    if (entry.type === 'file' && entry.hardlink !== undefined && used.has(entry.path))
      used.add(entry.hardlink);
  }
  return used;
}

function sumOf(files: readonly FileEntry[]): UnusedFiles['total'] {
  return { files: files.length, size: files.reduce((sum, { size }) => sum + size, 0) };
}

async function groupsOf(unused: readonly FileEntry[], host: Sysroot): Promise<UnusedGroup[]> {
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
    .map(([owner, group]) => ({ ...(owner === undefined ? {} : { package: owner }), ...group }))
    .sort((a, b) => b.size - a.size || ((a.package ?? '') < (b.package ?? '') ? -1 : 1));
}

/** Returns the part of a jail file that excludes the unused files. */
export function excludesText({ groups }: UnusedFiles): string {
  const paths = groups.flatMap((group) => group.paths).sort();
  if (paths.length === 0) return 'excludes: []\n';
  // Special characters of a pattern are quoted by brackets.
  const pattern = (path: string): string => path.replace(/[*?[\]{}()!+@\\]/g, '[$&]');
  return `excludes:\n${paths.map((path) => `  - ${JSON.stringify(pattern(path))}\n`).join('')}`;
}
