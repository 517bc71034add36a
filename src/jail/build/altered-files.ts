import type { Entry } from '../../manifest/manifest.js';
import { CAPABILITY_XATTR } from '../../manifest/privileged-files.js';
import { openNativeEngine } from '../engine/open.js';
import type { Finding } from '../record/finding.js';
import { isKeptBy } from '../record/owned-entries.js';
import { statRecord } from '../record/record.js';
import { locateTarget } from '../target.js';
import { changedPolicy } from './job.js';
import type { Planned } from './plan-step.js';

/**
 * The paths of files that were given other extended attributes since they were made: capabilities
 * always, others where the record or the plan has all of a file. Setting one sets the time of change
 * (inode(7)), so only files that changed after the record was put in place are read, by the native
 * engine alone.
 *
 * @param planned files that are as planned by lstat(2)
 */
export async function alteredAmong(
  planned: readonly Finding[],
  { job, manifest: { entries } }: Planned,
): Promise<ReadonlySet<string>> {
  const { record } = job.history;
  const root = locateTarget(job.target).path;
  const recorded = record === undefined ? undefined : statRecord(root)?.ctimeNs;
  // Others than root set none but those of their own files, which `check` compares.
  if (record === undefined || recorded === undefined || record.builder !== undefined)
    return new Set();
  const policy = changedPolicy(job);
  const changed = planned.flatMap(({ entry, found }) =>
    entry.type === 'file' &&
    found !== undefined &&
    found.ctimeNs > recorded &&
    entry.source !== undefined &&
    !isKeptBy(policy, entry.path)
      ? [entry]
      : [],
  );
  if (changed.length === 0) return new Set();
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return new Set();
  try {
    const found = await engine.xattrs(changed.map(({ path }) => path.slice(1)));
    const paths = new Set(changed.map(originalOf));
    const made = new Map(
      [...record.manifest.entries, ...entries]
        .filter(({ path, xattrs }) => xattrs !== undefined && paths.has(path))
        .map(({ path, xattrs }) => [path, xattrs]),
    );
    const altered = changed.filter(
      (entry, index) => !isSame(made.get(originalOf(entry)), found.get(index) ?? {}),
    );
    return new Set(altered.map(({ path }) => path));
  } finally {
    await engine.close();
  }
}

/** Attributes are noted of the first of several links. */
function originalOf(entry: Entry): string {
  return (entry.type === 'file' ? entry.hardlink : undefined) ?? entry.path;
}

/** @param made all attributes that a file was made with; undefined if only capabilities were looked for */
function isSame(made: Entry['xattrs'], found: Readonly<Record<string, string>>): boolean {
  const names =
    made === undefined ? [CAPABILITY_XATTR] : [...Object.keys(made), ...Object.keys(found)];
  return names.every((name) => made?.[name] === found[name]);
}
