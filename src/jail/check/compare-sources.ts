import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { errnoOf, strerror } from '../../errors.js';
import { readLink, toBytes } from '../../fs/path-bytes.js';
import {
  type RecordedAttributes,
  recordedAttributes,
  withRecorded,
} from '../../fs/recorded-attributes.js';
import type { ContentComparer } from '../../manifest/compare-content.js';
import { type Difference, describeDifference, differences } from '../../manifest/differences.js';
import type { Entry, FileEntry } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { JailRecord } from '../record/record.js';
import type { ReportFinding } from './finding.js';

/** Attributes that an entry takes from its source when a manifest was built. */
const SOURCE_ATTRIBUTES: ReadonlySet<Difference['attribute']> = new Set([
  'type',
  'size',
  'target',
  'device',
]);

/** Reports an image of the sysroot whose reference names another one now. */
export function compareImage(
  { sysrootImage: before }: ResolveRequest,
  { sysrootImage: now }: ResolveRequest,
  report: ReportFinding,
): void {
  if (before === undefined || now === undefined || before.id === now.id) return;
  report('stale', '/', [`${now.reference} is now ${now.id}, not ${before.id}`]);
}

/**
 * Compares the recorded entries with their sources.
 *
 * @param comparer undefined to compare by lstat(2) only
 */
export function compareSources(
  record: JailRecord,
  comparer: ContentComparer | undefined,
  sourceRoot: string,
  report: ReportFinding,
): void {
  const recorded = recordedAttributes(sourceRoot);
  for (const entry of record.manifest.entries) {
    if (entry.source === undefined) continue;
    const attributes = recorded?.get(entry.source);
    const details = changesOf(record, comparer, entry, sourceRoot + entry.source, attributes);
    if (details.length > 0) report('stale', entry.path, details);
  }
}

/** Returns the differences of a source that matter to a jail built from the host, or from a manifest. */
function changesOf(
  { from }: JailRecord,
  comparer: ContentComparer | undefined,
  entry: Entry,
  realPath: string,
  recorded: RecordedAttributes | undefined,
): readonly string[] {
  const found = sourceDifferences(entry, realPath, recorded);
  if (typeof found === 'string') return [found];
  const essential = found.filter(({ attribute }) => SOURCE_ATTRIBUTES.has(attribute));
  if (from === undefined) {
    return [...new Set([...essential, ...found])].map(describeDifference);
  }
  // A manifest sets attributes itself; a source with another time may have the same content.
  if (entry.type !== 'file' || essential.length > 0) return essential.map(describeDifference);
  const isOfOtherTime = found.some(({ attribute }) => attribute === 'mtime');
  return isOfOtherTime ? contentChange(comparer, entry, realPath) : [];
}

function contentChange(
  comparer: ContentComparer | undefined,
  entry: FileEntry,
  realPath: string,
): readonly string[] {
  if (comparer === undefined) return [];
  try {
    const fd = openSync(toBytes(realPath), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return comparer.compare(fd, entry) === 'different' ? ['content'] : [];
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [`source: ${strerror(error)}`];
  }
}

/** Returns the differences between a source and its entry, or why they cannot be determined. */
function sourceDifferences(
  entry: Entry,
  realPath: string,
  recorded: RecordedAttributes | undefined,
): readonly Difference[] | string {
  try {
    const stat = lstatSync(toBytes(realPath), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return 'source: is gone';
    return differences(entry, withRecorded(stat, recorded), {
      readTarget: () => readLink(realPath),
    });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return `source: ${strerror(error)}`;
  }
}
