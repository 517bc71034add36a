import { capabilityText } from '../../manifest/file-capabilities.js';
import type { Entry } from '../../manifest/manifest.js';
import { CAPABILITY_XATTR } from '../../manifest/privileged-files.js';
import { openNativeEngine } from '../engine/open.js';
import type { JailRecord } from '../record/record.js';
import type { ReportFinding } from './finding.js';
import type { JailWalk } from './jail-walk.js';

/**
 * Compares extended attributes with the record. For every file of the jail, also compares capabilities with the
 * record or, for unrecorded files, with the source.
 */
export async function compareXattrs(
  record: JailRecord,
  { files, present }: Pick<JailWalk, 'files' | 'present'>,
  root: string,
  sourceRoot: string,
  report: ReportFinding,
): Promise<void> {
  const { entries } = record.manifest;
  const planned = new Map(entries.map((entry) => [entry.path, entry]));
  const kept = new Set(record.kept);
  const described = entries.filter(
    ({ path, type, xattrs }) => xattrs !== undefined && type !== 'file' && present.has(path),
  );
  const paths = [...files, ...described.map(({ path }) => path)];
  const found = await xattrsBelow(root, paths);
  if (found === undefined) return;
  const granting: string[] = [];
  for (const path of paths) {
    const actual = found.get(path) ?? {};
    if (actual[CAPABILITY_XATTR] !== undefined) granting.push(path);
    const wanted = planned.get(path)?.xattrs;
    if (wanted === undefined || !present.has(path) || kept.has(path)) continue;
    const names = new Set([...Object.keys(wanted), ...Object.keys(actual)]);
    const differing = [...names].filter(
      (name) => wanted[name] !== actual[name] && isKeptByBuilder(record, name),
    );
    if (differing.length > 0) report('changed', path, differing.sort());
  }
  await compareCapabilities(granting, found, planned, sourceRoot, report);
}

async function compareCapabilities(
  granting: readonly string[],
  found: XattrsByPath,
  planned: ReadonlyMap<string, Entry>,
  sourceRoot: string,
  report: ReportFinding,
): Promise<void> {
  const originals = granting.flatMap((path): Entry[] => {
    const entry = planned.get(path);
    return entry?.source === undefined || entry.xattrs !== undefined ? [] : [entry];
  });
  const sources = originals.flatMap(({ source }) => source ?? []);
  const ofSources = (await xattrsBelow(sourceRoot || '/', sources)) ?? new Map();
  for (const path of granting) {
    const { source = '', xattrs = ofSources.get(source) } = planned.get(path) ?? {};
    const value = found.get(path)?.[CAPABILITY_XATTR] ?? '';
    if (xattrs?.[CAPABILITY_XATTR] === value) continue;
    report('set-id', path, [`capabilities ${capabilityText(value)}`]);
  }
}

/** Returns whether the builder could set an attribute: users other than root cannot set all (xattr(7)). */
function isKeptByBuilder({ builder }: JailRecord, name: string): boolean {
  return builder === undefined || !/^(security|trusted)\./.test(name);
}

type XattrsByPath = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Returns the extended attributes of files below a directory, by path; undefined without the native engine. */
async function xattrsBelow(
  root: string,
  paths: readonly string[],
): Promise<XattrsByPath | undefined> {
  if (paths.length === 0) return new Map();
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return undefined;
  try {
    const found = await engine.xattrs(paths.map((path) => path.slice(1)));
    return new Map([...found].map(([index, xattrs]) => [paths[index] ?? '', xattrs]));
  } finally {
    await engine.close();
  }
}
