import { JailbuildError } from '../../errors.js';
import { isSameValue } from '../../manifest/canonical-json.js';
import { ContentComparer } from '../../manifest/compare-content.js';
import { addDigests, knownDetails } from '../../manifest/digest.js';
import type { Entry, Manifest } from '../../manifest/manifest.js';
import { refuseMissing } from '../../manifest/missing.js';
import type { ResolveRequest } from '../../manifest/request.js';
import { type Additions, needsAdditions } from '../../resolve/additions.js';
import { resolveEnvironment, settleRequest } from '../../resolve/environment.js';
import { mergeRequests } from '../../resolve/merge-requests.js';
import type { Originals } from '../../resolve/program-resolver.js';
import type { Closure } from '../../resolve/resolve.js';
import { resolve } from '../../resolve/resolve.js';
import { plan } from '../../resolve/to-manifest.js';
import type { ManifestSources } from '../manifest-sources.js';
import { refuseInsecure } from '../parents.js';
import {
  type Fingerprint,
  hostState,
  isHostUnchanged,
  isJailUnchanged,
  jailState,
  keepFingerprint,
  readFingerprint,
} from '../record/fingerprint.js';
import { changedRecordText, HistoryChanged, nextRecord } from '../record/next-record.js';
import {
  type ChangedPolicy,
  findObsolete,
  findTypeChanges,
  JailView,
  managedDirectories,
  type ObsoleteEntries,
  pathsToKeep,
} from '../record/owned-entries.js';
import {
  entriesOwned,
  type JailHistory,
  type JailRecord,
  readHistory,
  recordText,
  requireRecord,
} from '../record/record.js';
import type { FileReport } from '../report.js';
import { checkTarget, locateTarget } from '../target.js';
import { type Verified, verifyJail } from '../verify.js';
import { isPrivileged } from '../write/stage.js';
import type { Finding } from '../write/survey.js';
import { writeJail } from '../write/write.js';

export interface BuildOptions {
  /** Leave files that the target has already. */
  readonly noClobber?: boolean;
  /** Build although libraries are missing. */
  readonly allowMissing?: boolean;
  /** Only a plan is wanted: the target need not be writable. */
  readonly dryRun?: boolean;
  /** Note the SHA-256 of every file in the manifest, and extended attributes. */
  readonly digests?: boolean;
  /** Note them in this jail's record, now and at its updates. */
  readonly recordDigests?: boolean;
  /** What happens to files that were changed in the jail since they were made. */
  readonly changed?: ChangedPolicy;
  /** Take out what earlier builds put into the jail and the plan no longer has. */
  readonly prune?: boolean;
  /** False to leave no record in the jail. */
  readonly record?: boolean;
  /**
   * The jail file that the request is from, by its absolute path: a jail of it alone is to hold what
   * the file says now, and no more.
   */
  readonly file?: string;
  /** Defaults for `run`, for the record. */
  readonly run?: JailRecord['run'] | undefined;
  /** Fail where the jail cannot be exactly as planned, rather than warn. */
  readonly strict?: boolean;
  /** Hard-link files to their sources where that is possible. */
  readonly link?: boolean;
  /** Do not wait until what is written is on the disk. */
  readonly noSync?: boolean;
  /** Accept a target below directories that others may write to. */
  readonly insecureParents?: boolean;
  /** Wait for another build that is at work in the target. */
  readonly wait?: boolean;
  /** Called once before waiting. */
  readonly onWait?: () => void;
  /** Ends the build, leaving the target as it was. */
  readonly signal?: AbortSignal;
}

export interface BuildResult {
  readonly manifest: Manifest;
  readonly files: readonly FileReport[];
  /** Paths of entries of earlier builds that were taken out. */
  readonly removed: readonly string[];
  /** Sentences for the user, beside those of the manifest. */
  readonly warnings: readonly string[];
}

/** A build on its way through the steps. Each step fills in what the next ones read. */
export interface BuildJob {
  /** What the jail is to hold beside what it was built for before; absent if only that. */
  readonly request?: ResolveRequest;
  /** A manifest that is to be built as it is; with it goes no request. */
  readonly from?: GivenManifest;
  readonly target: string;
  readonly options: BuildOptions;
  /** The sources of a given manifest, compared with it. */
  sources?: ManifestSources;
  /** What is known of earlier builds in the target. */
  history?: JailHistory;
  /** All that the jail is to hold. */
  whole?: ResolveRequest;
  /** Absent where the manifest is given, or was found to come out as it is recorded. */
  closure?: Closure | undefined;
  /** What proved that. */
  fingerprint?: Fingerprint | undefined;
  /** When what came of the sources began to be looked at: milliseconds since the epoch. */
  began?: number;
  manifest?: Manifest;
  /** What was found to be changed by the user: sentences. */
  changes?: readonly string[];
  files?: readonly FileReport[];
  removed?: readonly string[];
  /** What the jail has not as the plan says: sentences for the user. */
  warnings?: readonly string[];
  /** What came of verifying a new jail, before it appeared. */
  verifiedNew?: Verified;
  /** The number of files that the programs were found to load inside the jail. */
  verified?: number;
}

/** One stage of the pipeline. */
export interface BuildStep {
  readonly name: 'resolve' | 'plan' | 'write' | 'verify';
  run(job: BuildJob, onFile?: (report: FileReport) => void): Promise<void>;
}

const resolveStep: BuildStep = {
  name: 'resolve',
  async run(job) {
    job.history = historyOf(job);
    refuseOtherOrigin(job);
    const isUpdate = job.request === undefined && job.from === undefined;
    if (isUpdate && job.history.record === undefined) requireRecord(job.target);
    if (job.from !== undefined) return takeManifest(job, job.from);
    job.whole = wholeRequest(job);
    job.began = Date.now();
    job.fingerprint = fingerprintFor(job);
    job.closure =
      job.fingerprint === undefined
        ? resolve(job.whole, await loadAdditions(job.whole))
        : undefined;
    const { missing } = job.closure ?? recordedManifest(job);
    if (!recordedOptions(job).allowMissing) refuseMissing(missing);
  },
};

function recordedManifest({ history }: BuildJob): Manifest {
  return filled(history?.record).manifest;
}

/**
 * The fingerprint of the recorded resolution, if the same was asked for before and nothing that
 * the answer rests on has changed.
 */
function fingerprintFor(job: BuildJob): Fingerprint | undefined {
  const { history, options } = job;
  const whole = filled(job.whole);
  const record = history?.record;
  // What profiles say is not looked at by the resolver.
  if (record === undefined || history?.interrupted !== undefined || options.digests)
    return undefined;
  if (whole.profiles !== undefined || !isSameValue(whole, record.request)) return undefined;
  if (!isSameValue(recordedOptions(job), record.options)) return undefined;
  const fingerprint = readFingerprint(locateTarget(job.target).path, history?.stamp);
  return fingerprint !== undefined && isHostUnchanged(fingerprint) ? fingerprint : undefined;
}

/** A manifest given by the user, as it was read. */
export interface GivenManifest {
  readonly manifest: Manifest;
  /** Its file's absolute path. */
  readonly file: string;
  /** The directory that its sources are in; the default is `/`. */
  readonly sysroot?: string | undefined;
}

/** What a manifest says is the whole jail: it neither extends programs nor is extended by some. */
function refuseOtherOrigin({ from, history, target }: BuildJob): void {
  const record = history?.record;
  if (record === undefined || (record.from === undefined) === (from === undefined)) return;
  const what =
    record.from === undefined
      ? 'was built from programs, not from a manifest'
      : `was built from the manifest ${record.from}, which build --from takes again`;
  throw new JailbuildError('RECORD_DIFFERS', `${target}: ${what}; remove it first`, target);
}

async function takeManifest(job: BuildJob, { manifest, file, sysroot }: GivenManifest) {
  const { ManifestSources } = await import('../manifest-sources.js');
  if (!job.options.allowMissing) refuseMissing(manifest.missing);
  job.sources = await ManifestSources.compare(manifest, file, sysroot);
  const { prefix } = job.sources.sysroot;
  job.whole = { ...manifest.request, ...(prefix === '' ? {} : { sysroot: prefix }) };
  job.manifest = manifest;
}

/** The real path that the sources are in, '' for `/`. */
export function sourceRootOf({ sources, closure, fingerprint }: BuildJob): string {
  return fingerprint?.sourceRoot ?? (sources ?? filled(closure)).sysroot.prefix;
}

/** What the target's record says. A dry run does without the record of a jail that it may not read. */
function historyOf({ target, options }: BuildJob): JailHistory {
  const where = locateTarget(target);
  if (where.existing !== where.path) return {};
  try {
    return readHistory(where.path);
  } catch (error) {
    const unreadable = error instanceof JailbuildError && error.code === 'NOT_READABLE';
    if (!unreadable || !options.dryRun) throw error;
    return {};
  }
}

function wholeRequest(job: BuildJob): ResolveRequest {
  const { request, history } = job;
  const record = history?.record;
  if (request === undefined) return filled(record).request;
  if (record === undefined) return settleRequest(request);
  const { sysroot } = record.request;
  const asked = settleRequest(sysroot === undefined ? request : { sysroot, ...request });
  const merged = mergeRequests(record.request, asked);
  return isOfFile(job) ? asked : merged;
}

/** Whether the jail is one of this jail file, and nothing else has added to it. */
function isOfFile({ options: { file }, request, history }: BuildJob): boolean {
  if (file === undefined || request === undefined) return false;
  return history?.record === undefined || history.record.file === file;
}

/** The file of a jail that is of it alone, for its record; an update changes nothing of that. */
function fileOf(job: BuildJob): string | undefined {
  return job.request === undefined && job.from === undefined
    ? job.history?.record?.file
    : isOfFile(job)
      ? job.options.file
      : undefined;
}

/** What holds for this build and for later ones, once it was said. */
function recordedOptions(job: BuildJob) {
  const { options, history } = job;
  const before = isOfFile(job) ? undefined : history?.record?.options;
  return {
    ...(options.allowMissing || before?.allowMissing ? { allowMissing: true } : {}),
    ...(options.recordDigests || before?.digests ? { digests: true } : {}),
  };
}

/** Reading profiles costs several milliseconds, which the main job need not pay. */
async function loadAdditions(request: ResolveRequest): Promise<Additions | undefined> {
  if (!needsAdditions(request)) return undefined;
  const { additionsOf } = await import('../../profile/expand.js');
  return additionsOf(request);
}

const planStep: BuildStep = {
  name: 'plan',
  async run(job) {
    const sourceRoot = sourceRootOf(job);
    const given = job.fingerprint === undefined ? job.from?.manifest : recordedManifest(job);
    const manifest = given ?? plan(filled(job.closure));
    checkPlanTarget(manifest, job, sourceRoot);
    if (!job.options.dryRun && !job.options.insecureParents) {
      refuseInsecure(locateTarget(job.target), job.target);
    }
    job.manifest = given === undefined ? await withDetails(manifest, job, sourceRoot) : manifest;
  },
};

/** Details that are printed are taken anew; for the record alone, those known of unchanged files do. */
async function withDetails(
  manifest: Manifest,
  job: BuildJob,
  sourceRoot: string,
): Promise<Manifest> {
  if (job.options.digests) return addDetails(manifest, sourceRoot);
  const record = job.history?.record;
  const known = record === undefined ? manifest : knownDetails(manifest, record.manifest);
  return recordedOptions(job).digests ? addDetails(known, sourceRoot) : known;
}

/** What a manifest has for its readers; the writer copies files and their attributes as they are. */
async function addDetails(manifest: Manifest, sourceRoot: string): Promise<Manifest> {
  const { addXattrs } = await import('../engine/source-xattrs.js');
  return addXattrs(await addDigests(manifest, sourceRoot), sourceRoot);
}

/** A dry run is good for a target that the user may not write to. */
function checkPlanTarget(
  manifest: Manifest,
  { target, options }: BuildJob,
  sourceRoot: string,
): void {
  try {
    checkTarget(manifest, target, sourceRoot);
  } catch (error) {
    const unwritable = error instanceof JailbuildError && error.code === 'TARGET_NOT_WRITABLE';
    if (!unwritable || !options.dryRun) throw error;
  }
}

const writeStep: BuildStep = {
  name: 'write',
  async run(job, onFile = () => {}) {
    for (;;) {
      const intent = intentOf(job);
      const warnings: string[] = [];
      try {
        const { sources, target } = job;
        const manifest = filled(job.manifest);
        job.files = await writeJail(sources?.instructions ?? manifest, target, {
          ...job.options,
          sourceRoot: sourceRootOf(job),
          ...(sources === undefined ? {} : sources.guard),
          isTampered: tamperTest(job, intent),
          keep: intent.keep,
          managed: intent.managed,
          typeChanges: intent.typeChanges,
          removals: intent.removals,
          record: (findings) => {
            job.changes = changedNotes(findings, intent, job);
            return newRecordText(job, intent.obsolete, findings);
          },
          onFile,
          onWhole: (root, files) => {
            job.verifiedNew = verify(job, root, files);
          },
          onWarning: (message) => warnings.push(message),
        });
      } catch (error) {
        if (!(error instanceof HistoryChanged)) throw error;
        await resolveStep.run(job);
        await planStep.run(job);
        continue;
      }
      job.removed = intent.removals.map(({ path }) => path);
      job.warnings = [...warnings, ...(job.changes ?? [])];
      return;
    }
  },
};

/** What a build means to do with what earlier builds put into the jail. */
export interface BuildIntent {
  readonly view: JailView;
  readonly obsolete: ObsoleteEntries;
  readonly removals: readonly Entry[];
  readonly keep: ReadonlySet<string>;
  /** Directories whose mode and owner are set. */
  readonly managed: ReadonlySet<string>;
  /** Where a directory and something else may take each other's place. */
  readonly typeChanges: ReadonlySet<string>;
}

/** @param job one that is planned */
export function intentOf(job: BuildJob): BuildIntent {
  const manifest = filled(job.manifest);
  const history = filled(job.history);
  const isUpdate = prunes(job);
  const comparer =
    history.record === undefined ? undefined : new ContentComparer(sourceRootOf(job));
  const view = new JailView(locateTarget(job.target).path, isPrivileged(), comparer);
  const obsolete = findObsolete(manifest, history, view);
  return {
    view,
    obsolete,
    removals: isUpdate ? obsolete.removable : [],
    managed:
      isUpdate && policyOf(job) !== 'keep'
        ? managedDirectories(manifest, history)
        : new Set<string>(),
    typeChanges: isUpdate ? findTypeChanges(manifest, history, view, obsolete) : new Set<string>(),
    keep: pathsToKeep(manifest, history, view, policyOf(job), isUpdate),
  };
}

/** What tells that a file of the jail has another content than its attributes say. */
export function tamperTest({ sources, target }: BuildJob, { view }: BuildIntent) {
  if (sources === undefined) return view.isTampered.bind(view);
  const tampered = sources.tampered(locateTarget(target).path);
  return ({ path }: Entry) => tampered.has(path);
}

/** What a manifest or a jail file does not have, a jail that is built from it has not either. */
function prunes(job: BuildJob): boolean {
  return job.options.prune ?? (job.from !== undefined || isOfFile(job));
}

function policyOf({ options, from }: BuildJob): ChangedPolicy {
  return options.changed ?? (from === undefined ? 'keep-configuration' : 'replace');
}

/** Tells what the user had changed of what earlier builds made. */
export function changedNotes(
  findings: readonly Finding[],
  { obsolete, view }: BuildIntent,
  job: BuildJob,
): string[] {
  const { history, options } = job;
  if (history?.record === undefined) return [];
  const own = entriesOwned(history.record);
  const left = prunes(job) ? obsolete.changed.map(changedNote('left')) : [];
  const others = findings.flatMap(({ entry, need, as }) => {
    const made = own.get(entry.path);
    if (made === undefined) return [];
    if (as === 'kept') return options.noClobber ? [] : [changedNote('kept')(entry)];
    if (need !== 'replace') return [];
    const found = view.lstat(entry.path);
    if (found === undefined || view.isAsMade(made, found)) return [];
    return [changedNote('replaced')(entry)];
  });
  return [...left, ...others];
}

function changedNote(fate: 'kept' | 'left' | 'replaced'): (entry: Entry) => string {
  return ({ path }) => `${path}: was changed in the jail since it was made, and is ${fate}`;
}

function newRecordText(
  job: BuildJob,
  obsolete: ObsoleteEntries,
  findings: readonly Finding[],
): string | undefined {
  const history = filled(job.history);
  const { options } = job;
  const target = locateTarget(job.target);
  if (options.record === false) {
    if (history.record === undefined) return undefined;
    throw new JailbuildError('USAGE', `${job.target}: has a record, which is to stay true`);
  }
  const next = nextRecord(
    {
      request: filled(job.whole),
      options: recordedOptions(job),
      manifest: filled(job.manifest),
      former: [...(prunes(job) ? [] : obsolete.removable), ...obsolete.held].sort((a, b) =>
        a.path < b.path ? -1 : 1,
      ),
      run: options.run,
      from: job.from?.file,
      file: fileOf(job),
    },
    history,
    findings,
  );
  return target.existing === target.path
    ? changedRecordText(
        next,
        history,
        target.path,
        findings.some(({ need }) => need !== 'nothing'),
      )
    : recordText(next);
}

/** What was done about files that are as planned then. */
const AS_PLANNED: ReadonlySet<FileReport['action']> = new Set(['created', 'replaced', 'unchanged']);

/**
 * What the resolver has read of the sources of files that the jail has as planned: this build copied
 * them, from sources of the size and times that the resolver saw, or by size, time, mode and owner they
 * are the copies of an earlier one. So proving the jail takes no second reading.
 */
function originalsOf(
  closure: Closure | undefined,
  files: readonly FileReport[],
): Originals | undefined {
  if (closure === undefined) return undefined;
  const planned = new Set(
    files.filter(({ action }) => AS_PLANNED.has(action)).map(({ path }) => path),
  );
  const identities = new Map(
    closure.files
      .filter(({ path, isMade }) => !isMade && planned.has(path))
      .map(({ path, stat }) => [path, stat.identity]),
  );
  return (path) => {
    const identity = identities.get(path);
    return identity === undefined ? undefined : closure.read(identity);
  };
}

const verifyStep: BuildStep = {
  name: 'verify',
  async run(job) {
    const { target, files = [], fingerprint } = job;
    const root = locateTarget(target).path;
    const isUntouched = files.every(({ action }) => action === 'unchanged');
    if (fingerprint !== undefined && isUntouched && isJailUnchanged(fingerprint, root)) {
      job.verified = fingerprint.jail.files;
      return;
    }
    const verified = job.verifiedNew ?? verify(job, root, files);
    job.verified = verified.files;
    if (job.from === undefined && job.options.record !== false) prove(job, root, verified);
  },
};

/** @param root where the jail is */
function verify(job: BuildJob, root: string, files: readonly FileReport[]): Verified {
  const { closure, fingerprint } = job;
  const { searchPath } =
    closure ?? (fingerprint === undefined ? {} : resolveEnvironment(filled(job.whole)));
  return verifyJail(filled(job.manifest), root, searchPath, originalsOf(closure, files));
}

/** Leaves word of what the build rests on, so that the next one may find that nothing has changed. */
function prove(job: BuildJob, root: string, { files, observed }: Verified): void {
  const { closure, fingerprint, began = 0 } = job;
  const paths = new Set(filled(job.manifest).entries.map(({ path }) => path));
  const isPlanned = (path: string) => paths.has(path);
  const seen = closure?.sysroot.observed();
  const sourceRoot = sourceRootOf(job);
  const host =
    seen === undefined ? fingerprint?.host : hostState(seen, sourceRoot, began, isPlanned);
  const jail = observed === undefined ? undefined : jailState(observed, files, isPlanned);
  if (host !== undefined && jail !== undefined) keepFingerprint(root, { sourceRoot, host, jail });
}

/** The pipeline of the main job, in order. A user interface may run the steps itself. */
export const BUILD_STEPS: readonly BuildStep[] = [resolveStep, planStep, writeStep, verifyStep];

/**
 * The pipeline up to the plan, for a dry run: nothing is written.
 *
 * @throws JailbuildError with any code of these stages
 */
export async function planJail(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
): Promise<Manifest> {
  return planJob({ request, target, options });
}

/** The same for a job that is put together. */
export async function planJob(wanted: BuildJob): Promise<Manifest> {
  const job: BuildJob = { ...wanted, options: { ...wanted.options, dryRun: true } };
  await resolveStep.run(job);
  await planStep.run(job);
  return filled(job.manifest);
}

/**
 * Builds exactly what a manifest says: its sources are compared with its digests first, and what an
 * earlier manifest put into the jail and this one does not have is taken out.
 *
 * @throws JailbuildError DIGEST_MISMATCH, MANIFEST_INVALID, and as `build`
 */
export async function buildManifest(
  from: GivenManifest,
  target: string,
  options: BuildOptions = {},
  onFile: (report: FileReport) => void = () => {},
): Promise<BuildResult> {
  const job: BuildJob = { from, target, options };
  for (const step of BUILD_STEPS) await step.run(job, onFile);
  return resultOf(job);
}

/**
 * Builds a jail: resolves the request, writes what it needs into the target and proves that the
 * programs find everything there. On failure the target is as it was.
 *
 * @param target the jail's directory; made if it does not exist
 * @param onFile called for each entry as it is done
 * @throws JailbuildError with any code of the stages
 */
export async function build(
  request: ResolveRequest,
  target: string,
  options: BuildOptions = {},
  onFile: (report: FileReport) => void = () => {},
): Promise<BuildResult> {
  const job: BuildJob = { request, target, options };
  for (const step of BUILD_STEPS) await step.run(job, onFile);
  return resultOf(job);
}

export function resultOf(job: BuildJob): BuildResult {
  return {
    manifest: filled(job.manifest),
    files: filled(job.files),
    removed: filled(job.removed),
    warnings: filled(job.warnings),
  };
}

export function filled<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a build step ran before the one it depends on');
  return value;
}
