import { JailbuildError } from '../../errors.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import {
  CAPABILITY_XATTR,
  describePrivileged,
  grantsPrivileges,
} from '../../manifest/privileged-files.js';
import { Conversation } from '../engine/conversation.js';
import type { Finding } from '../record/finding.js';
import { changedRecordText, HistoryChanged, nextRecord } from '../record/next-record.js';
import { type JailRecord, recordText } from '../record/record.js';
import type { FileReport } from '../report.js';
import { locateTarget } from '../target.js';
import type { WriteOptions } from '../write/options.js';
import { isPrivileged } from '../write/stage.js';
import { writeJail } from '../write/write.js';
import { alteredAmong } from './altered-files.js';
import { type BuildIntent, changedNotes, intentOf } from './intent.js';
import { isPruning, recordedFile, recordedOptions } from './job.js';
import type { Planned } from './plan-step.js';
import { type VerifiedDirectory, verifyDirectory } from './verify-planned.js';

/**
 * Above this number of entries, what is said to the writer, the record and the fingerprint would be larger than the
 * front reads (cli/stored-build.ts): about 650 bytes an entry.
 */
const MOST_REPEATED = 25_000;

/** A jail as it was written. */
export interface Written {
  readonly planned: Planned;
  readonly files: readonly FileReport[];
  /** Paths of removed entries of earlier builds. */
  readonly removed: readonly string[];
  /** A sentence for each deviation from the plan and each change by the user. */
  readonly warnings: readonly string[];
  /** The current record of the jail. */
  readonly record?: JailRecord;
  /** The verification of a new jail, done before it appeared. */
  readonly verified?: VerifiedDirectory;
  /** What was said to the writer, if that may be repeated. */
  readonly conversation?: Conversation;
}

/**
 * Writes the jail, and its record last.
 *
 * @returns `outdated` if another build changed the jail since the job was resolved: nothing was written, and the job
 * must be resolved again
 * @throws JailbuildError USAGE, VERIFY_FAILED for a new jail, and as `writeJail`
 */
export async function writeStep(
  planned: Planned,
  progress: Pick<WriteOptions, 'onFile' | 'onMade'>,
): Promise<Written | 'outdated'> {
  const { job, resolution, sourceRoot, manifest } = planned;
  const { options, target } = job;
  const intent = intentOf(planned);
  const { managed, keep, typeChanges, removals, isTampered } = intent;
  const given = resolution.kind === 'given' ? resolution.sources : undefined;
  const warnings: string[] = [];
  let changes: readonly string[] = [];
  const capabilities = new Map<string, Entry['xattrs']>();
  const conversation = mayRepeat(planned) ? new Conversation() : undefined;
  let verified: VerifiedDirectory | undefined;
  let next: JailRecord | undefined;
  try {
    const files = await writeJail(given?.instructions ?? manifest, target, {
      ...options,
      sourceRoot,
      ...given?.guard,
      ...(conversation === undefined ? {} : { openEngine: conversation.open }),
      isTampered,
      alteredAmong: (found) => alteredAmong(found, planned),
      keep,
      managed,
      typeChanges,
      removals,
      record: (findings) => {
        changes = changedNotes(findings, intent, planned);
        const known = new Map([...recordedCapabilities(planned, findings), ...capabilities]);
        next = newRecord(withCapabilities(planned, known), intent, findings);
        return next === undefined ? undefined : newRecordText(planned, next, findings);
      },
      onCapability: ({ path }, xattrs) => capabilities.set(path, xattrs),
      ...progress,
      onWhole: async (root, reports) => {
        verified = await verifyDirectory(planned, root, reports);
      },
      onWarning: (message) => warnings.push(message),
    });
    return {
      planned,
      files,
      removed: removals.map(({ path }) => path),
      warnings: [
        ...warnings,
        ...changes,
        ...privilegeNotes(withCapabilities(planned, capabilities).manifest, files),
      ],
      ...(next === undefined ? {} : { record: next }),
      ...(verified === undefined ? {} : { verified }),
      ...(conversation === undefined ? {} : { conversation }),
    };
  } catch (error) {
    if (error instanceof HistoryChanged) return 'outdated';
    throw error;
  }
}

/** Returns whether the build is a function of its request and of what its resolution depends on. */
function mayRepeat({ job, resolution, manifest }: Planned): boolean {
  const { isRepeatable, limits, record } = job.options;
  return (
    isRepeatable === true &&
    manifest.entries.length <= MOST_REPEATED &&
    (resolution.kind === 'closure' || resolution.kind === 'remembered') &&
    limits === undefined &&
    record !== false &&
    !recordedOptions(job).digests
  );
}

/** Returns the recorded extended attributes of programs with capabilities that stay unchanged. */
function recordedCapabilities(
  { job: { history } }: Planned,
  findings: readonly Finding[],
): Map<string, Entry['xattrs']> {
  const recorded = new Map<string, Entry['xattrs']>();
  for (const { path, xattrs } of history.record?.manifest.entries ?? []) {
    if (xattrs?.[CAPABILITY_XATTR] !== undefined) recorded.set(path, xattrs);
  }
  if (recorded.size === 0) return recorded;
  const staying = new Set(
    findings.filter(({ as }) => as === 'planned').map(({ entry }) => entry.path),
  );
  return new Map([...recorded].filter(([path]) => staying.has(path)));
}

/** Adds the extended attributes of programs that were copied with capabilities to the plan. */
function withCapabilities(
  planned: Planned,
  capabilities: ReadonlyMap<string, Entry['xattrs']>,
): Planned {
  if (capabilities.size === 0) return planned;
  const { manifest } = planned;
  const entries = manifest.entries.map((entry): Entry => {
    const xattrs = capabilities.get(entry.path);
    return xattrs === undefined || entry.xattrs !== undefined ? entry : { ...entry, xattrs };
  });
  return { ...planned, manifest: { ...manifest, entries } };
}

/** Returns a note on set-id programs and file capabilities that this build put into the jail. */
function privilegeNotes({ entries }: Manifest, files: readonly FileReport[]): string[] {
  // Without root, neither set-id bits nor capabilities are written.
  if (!isPrivileged()) return [];
  const privileged = new Map(
    entries.filter(grantsPrivileges).map((entry) => [entry.path, entry] as const),
  );
  if (privileged.size === 0) return [];
  const copied = files.flatMap(({ path, action }) => {
    const entry = action === 'created' || action === 'replaced' ? privileged.get(path) : undefined;
    return entry ?? [];
  });
  return describePrivileged(copied);
}

function newRecord(
  { job, request, manifest }: Planned,
  { obsolete }: BuildIntent,
  findings: readonly Finding[],
): JailRecord | undefined {
  const { history, options, origin } = job;
  if (options.record === false) {
    if (history.record === undefined) return undefined;
    throw new JailbuildError(
      'USAGE',
      `${job.target}: has a record that --no-record would leave outdated: build without that option`,
    );
  }
  return nextRecord(
    {
      request,
      options: recordedOptions(job),
      manifest,
      former: [...(isPruning(job) ? [] : obsolete.removable), ...obsolete.held].sort((a, b) =>
        a.path < b.path ? -1 : 1,
      ),
      run: options.run,
      from: origin.kind === 'manifest' ? origin.given.file : undefined,
      file: recordedFile(job),
    },
    history,
    findings,
  );
}

function newRecordText(
  { job }: Planned,
  next: JailRecord,
  findings: readonly Finding[],
): Iterable<Buffer> | undefined {
  const { path, existing } = locateTarget(job.target);
  if (existing !== path) return recordText(next);
  return changedRecordText(
    next,
    job.history,
    path,
    findings.some(({ need }) => need !== 'nothing'),
  );
}
