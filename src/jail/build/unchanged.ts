import { isSameValue } from '../../manifest/canonical-json.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { openNativeEngine } from '../engine/open.js';
import type { BlockCheck } from '../engine/protocol.js';
import { refuseInsecure } from '../parents.js';
import {
  type Fingerprint,
  type FoundFingerprint,
  holds,
  readFingerprint,
  type ShortRecord,
  type WholeJail,
} from '../record/fingerprint.js';
import { noteOf, refuseUnprotected } from '../record/protection.js';
import {
  hasRemains,
  type JailRecord,
  requireRecord,
  stampOf,
  statRecord,
} from '../record/record.js';
import { blockHolds, entriesOf, type StateBlock } from '../record/state-blocks.js';
import type { FileReport } from '../report.js';
import { locateTarget } from '../target.js';
import { type BuildJob, type KnownJob, recordedFile, recordedOptions } from './job.js';
import { mayRemember, wholeRequest } from './resolve-step.js';
import type { Proven, UnchangedJail } from './verify-step.js';

/** From this many blocks on, the native writer compares faster than the cost of asking it. */
const WORTH_ASKING = 6;
/** In nanoseconds. */
const SECOND = 1_000_000_000n;

/**
 * Returns the result of a build for which request, host and jail are unchanged since the last one. Uses lstat(2) alone
 * and does not even read the record.
 *
 * @returns undefined if something has changed, or if that cannot be determined
 * @throws JailbuildError RECORD_REFUSED, TARGET_INSECURE, TARGET_NOT_A_DIRECTORY
 */
export async function unchangedBuild(job: BuildJob): Promise<Proven | undefined> {
  const { origin, options } = job;
  if (origin.kind === 'manifest' || options.dryRun || options.record === false) return undefined;
  if (options.limits !== undefined) return undefined;
  const { path: root, existing } = locateTarget(job.target);
  if (existing !== root) return undefined;
  refuseUnprotected(root);
  const stat = statRecord(root);
  if (stat === undefined || hasRemains(root)) return undefined;
  const fingerprint = readFingerprint(root, stampOf(stat));
  if (fingerprint?.whole === undefined) return undefined;
  const { whole } = fingerprint;
  const record = withoutEntries(whole, root);
  const known: KnownJob = { ...job, history: { record, stamp: stampOf(stat) } };
  // The steps open an image that is not open yet; opening it here as well would read it twice.
  if (record.request.sysrootImage !== undefined && !isOpened(job)) return undefined;
  const request = await wholeRequest(known, origin);
  if (!mayRemember(job, request) || !isRecordedAs(known, request, whole.record)) return undefined;
  if (!options.insecureParents) refuseInsecure({ path: root, existing }, job.target);
  if (!(await isUnchanged(fingerprint, whole, root, stat.ctimeNs))) return undefined;
  const { manifest } = record;
  const { sourceRoot } = fingerprint;
  await options.onWrite?.(manifest, sourceRoot);
  const resolution = { kind: 'recorded', fingerprint, manifest } as const;
  const planned = { job: known, request, resolution, sourceRoot, manifest };
  let files: readonly FileReport[] | undefined;
  return {
    planned,
    get files() {
      files ??= reportsOf(whole);
      return files;
    },
    removed: [],
    warnings: [],
    record,
    verifiedFiles: fingerprint.jail.files,
    ...unchangedState(fingerprint, whole, root, stampOf(stat)),
  };
}

function unchangedState(
  { host, jail, sourceRoot, stamp }: FoundFingerprint,
  { entries }: WholeJail,
  root: string,
  recordStamp: string,
): { readonly unchanged?: UnchangedJail } {
  const note = noteOf(root)?.file;
  if (note === undefined) return {};
  const sizes = (blocks: readonly StateBlock[], isOfJail: boolean) =>
    blocks.map(({ length }) => ({ isOfJail, length }));
  const blocks = [...sizes(host, false), ...sizes(jail.absent, true), ...sizes(entries, true)];
  return { unchanged: { root, sourceRoot, recordStamp, stateStamp: stamp, note, blocks } };
}

/** Returns whether the image or the packages that a job names are unpacked. */
function isOpened({ origin }: BuildJob): boolean {
  return origin.kind === 'request' && origin.request.sysrootImage !== undefined;
}

/** Returns whether a build of the job would leave the record as it is, given the same entries. */
function isRecordedAs(job: KnownJob, request: KnownRequest, record: ShortRecord): boolean {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const file = recordedFile(job);
  const run = job.options.run ?? (file === undefined ? record.run : undefined);
  return (
    isSameValue(request, record.request) &&
    isSameValue(recordedOptions(job), record.options) &&
    record.from === undefined &&
    isSameValue([file, run], [record.file, record.run]) &&
    isSameValue(record.builder, uid === 0 ? undefined : { uid, gid })
  );
}

type KnownRequest = JailRecord['request'];

/** Returns the record; its entries are read on demand. */
function withoutEntries({ record }: WholeJail, root: string): JailRecord {
  let entries: readonly Entry[] | undefined;
  const manifest: Manifest = {
    ...record.manifest,
    get entries() {
      entries ??= requireRecord(root).manifest.entries;
      return entries;
    },
  };
  return { ...record, manifest, former: [], kept: [] };
}

async function isUnchanged(
  { host, jail, sourceRoot }: Fingerprint,
  { entries }: WholeJail,
  root: string,
  recorded: bigint,
): Promise<boolean> {
  const checks: BlockCheck[] = [
    ...host.map((block) => ({ block, isOfJail: false })),
    ...[...entries, ...jail.absent].map((block) => ({ block, isOfJail: true })),
  ];
  const engine =
    checks.length < WORTH_ASKING ? undefined : await openNativeEngine(root, sourceRoot || '/');
  if (engine === undefined) {
    // As Node makes `ctimeMs` from both parts, so that equal times are equal numbers.
    const recordedMs = Number(recorded / SECOND) * 1e3 + Number(recorded % SECOND) / 1e6;
    return holds(() =>
      checks.every(({ block, isOfJail }) =>
        blockHolds(block, isOfJail ? root : sourceRoot, recordedMs),
      ),
    );
  }
  try {
    return await engine.holds(checks, recorded);
  } finally {
    await engine.close();
  }
}

/** By the type in st_mode (inode(7)). */
const TYPE: ReadonlyMap<number, Entry['type']> = new Map([
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o010000, 'fifo'],
  [0o120000, 'symlink'],
]);

function reportsOf({ entries }: WholeJail): FileReport[] {
  return Array.from(entriesOf(entries), ({ path, type }) => ({
    path,
    type: TYPE.get(type) ?? 'file',
    status: 'ok',
    action: 'unchanged',
  }));
}
