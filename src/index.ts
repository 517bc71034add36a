/** The library: from requested programs to a closure, from that to a plan, from that to a jail. */

export { type ErrorCode, JailbuildError } from './errors.js';
export type { FileStat } from './fs/file-view.js';
export type { BuildOptions, GivenManifest } from './jail/build/job.js';
export { type BuildResult, build, buildManifest, planJail } from './jail/build/pipeline.js';
export { type CheckOptions, type CheckResult, checkJail } from './jail/check/check.js';
export type { CheckFinding, FindingKind } from './jail/check/finding.js';
export type { ChangedPolicy } from './jail/record/owned-entries.js';
export { type JailRecord, RECORD_SCHEMA, readRecord } from './jail/record/record.js';
export { type Leftover, type RemoveOptions, type RemoveResult, removeJail } from './jail/remove.js';
export type { FileAction, FileReport, FileStatus } from './jail/report.js';
export { type JailChange, planUpdate, type UpdateResult, updateJail } from './jail/update.js';
export { canonicalJson } from './manifest/canonical-json.js';
export { addDigests } from './manifest/digest.js';
export {
  type DirectoryEntry,
  type Entry,
  type FileEntry,
  MANIFEST_SCHEMA,
  type Manifest,
  type ManifestRequest,
  type MissingLibrary,
  type MissingVersion,
  type Reason,
  type SearchRule,
  type SymlinkEntry,
} from './manifest/manifest.js';
export { parseManifest, readManifest } from './manifest/read.js';
export type { ResolveRequest, TerminfoChoice } from './manifest/request.js';
export type { CollectedFile } from './resolve/file-collection.js';
export { type Closure, resolve } from './resolve/resolve.js';
export { plan } from './resolve/to-manifest.js';
