/**
 * Builds root file systems that contain everything the programs they are for need to run: what the
 * `jailbuild` command does, as functions.
 *
 * @packageDocumentation
 */

export { ERROR_CODES, type ErrorCode, JailbuildError } from './errors.js';
export type { Blob as StoredBlob } from './export/blobs.js';
export type { Compression, CompressionChoice } from './export/compression.js';
export type { ExportFormat } from './export/destination.js';
export type { ImageOptions, StoredLayer } from './export/image.js';
export type { LayerChoice } from './export/layers.js';
export type { Referrer } from './export/referrers.js';
export type { ExportedImage, ExportResult } from './export/result.js';
export type { Verity } from './export/verity.js';
export type { Platform } from './image/platform.js';
export type { RegistryAccess } from './image/registry/access.js';
export type { BuildChoices } from './jail/build/job.js';
export type { BuildResult } from './jail/build/pipeline.js';
export type { CheckOptions, CheckResult } from './jail/check/check.js';
export { type CheckFinding, FINDING_KINDS, type FindingKind } from './jail/check/finding.js';
export type { ChangedPolicy } from './jail/record/owned-entries.js';
export {
  type JailRecord,
  RECORD_SCHEMA,
  type RecordedOptions,
  readRecord,
} from './jail/record/record.js';
export type { Leftover, RemoveResult } from './jail/remove.js';
export type { FileAction, FileReport, FileStatus } from './jail/report.js';
export type { JailChange, UpdateResult } from './jail/update.js';
export type { BindMount, IdMap, ResourceLimit, TmpfsMount } from './launcher/options.js';
export {
  type BuildManifestOptions,
  type BuildOptions,
  build,
  buildManifest,
  type PlanOptions,
  planJail,
  planRoot,
} from './library/build.js';
export {
  type ExportedRoot,
  type ExportOptions,
  type ExportSource,
  exportPlatforms,
  exportRoot,
  type PlatformSource,
  type SigningKeyFile,
} from './library/export.js';
export {
  checkJail,
  planUpdate,
  type RemoveOptions,
  removeJail,
  updateJail,
} from './library/jail.js';
export { type RunOptions, runInJail } from './library/run.js';
export { type DependencyTrees, dependencyTrees, type TreeOptions } from './library/tree.js';
export { type FileReasons, type ReasonsOptions, reasonsFor } from './library/why.js';
export type { AccountRequest } from './manifest/account-request.js';
export type { Advice } from './manifest/advice.js';
export { canonicalJson } from './manifest/canonical-json.js';
export { checkRequest } from './manifest/check-request.js';
export type { IncludeRequest } from './manifest/include-request.js';
export {
  type DeviceEntry,
  type DirectoryEntry,
  type Entry,
  type EntryBase,
  type FifoEntry,
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
export type { ChainLink, ReasonChains } from './manifest/reason-chains.js';
export type {
  DlopenChoice,
  LdCacheChoice,
  ResolveRequest,
  SysrootImage,
  TerminfoChoice,
  TraceScope,
} from './manifest/request.js';
export type { Limits } from './plan/limits.js';
export type { DependencyNode } from './resolve/dependency-tree.js';
export type { SbomFormat } from './sbom/document.js';
