import packageJson from '../../../package.json' with { type: 'json' };
import { isSameValue } from '../../manifest/canonical-json.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import type { ResolveRequest } from '../../manifest/request.js';
import type { Finding } from './finding.js';
import { ownedEntries } from './owned-entries.js';
import {
  type JailHistory,
  type JailRecord,
  RECORD_SCHEMA,
  type RecordedOptions,
  readRecordStamp,
  recordText,
} from './record.js';

/** What a build will do to a jail. */
export interface RecordedBuild {
  readonly request: ResolveRequest;
  readonly options: RecordedOptions;
  readonly manifest: Manifest;
  /** Entries of earlier plans that remain. */
  readonly former: readonly Entry[];
  readonly run?: JailRecord['run'];
  readonly from?: string | undefined;
  /** The jail file, if it alone determines the content. */
  readonly file?: string | undefined;
}

/** Returns the record of a jail after a build, given what the build found. */
export function nextRecord(
  { request, options, manifest, former, run, from, file }: RecordedBuild,
  history: JailHistory,
  findings: readonly Finding[],
): JailRecord {
  const own = ownedEntries(history);
  const pathsOf = (as: Finding['as']) =>
    findings
      .filter((finding) => finding.as === as && (as === 'kept' || !own.has(finding.entry.path)))
      .map(({ entry }) => entry.path);
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const defaults = run ?? (file === undefined ? history.record?.run : undefined);
  return {
    schema: RECORD_SCHEMA,
    version: packageJson.version,
    request,
    options,
    ...(from === undefined ? {} : { from }),
    ...(uid === 0 ? {} : { builder: { uid, gid } }),
    found: pathsOf('planned'),
    kept: pathsOf('kept'),
    former,
    ...(defaults === undefined ? {} : { run: defaults }),
    ...(file === undefined ? {} : { file }),
    manifest,
  };
}

/** Thrown if another build changed the jail after its history was read: the plan must be made again. */
export class HistoryChanged extends Error {}

/**
 * Returns the text of the next record, or undefined if the jail already has it.
 *
 * @param target the jail's directory, which exists
 * @param isChanging whether files change: anything changed after the record was written is suspect
 * @throws HistoryChanged
 */
export function changedRecordText(
  next: JailRecord,
  history: JailHistory,
  target: string,
  isChanging: boolean,
): Buffer[] | undefined {
  if (readRecordStamp(target) !== history.stamp) {
    throw new HistoryChanged('another build changed the jail since its record was read');
  }
  const mayStay = history.interrupted === undefined && !isChanging;
  if (mayStay && isRecorded(next, history.record)) return undefined;
  const text = [...recordText(next)];
  return mayStay && Buffer.concat(text).toString() === history.text ? undefined : text;
}

/** Compares records; identical manifest objects are not compared field by field. */
function isRecorded({ manifest, ...next }: JailRecord, record: JailRecord | undefined): boolean {
  if (record === undefined || manifest !== record.manifest) return false;
  const { manifest: _, ...known } = record;
  return isSameValue(next, known);
}
