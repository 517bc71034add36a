/** The library: from requested programs to a closure, from that to a plan, from that to a jail. */
export {
  BUILD_STEPS,
  type BuildJob,
  type BuildOptions,
  type BuildResult,
  type BuildStep,
  build,
  planJail,
} from './build.js';
export { type ErrorCode, JailbuildError } from './errors.js';
export type { FileAction, FileReport, FileStatus } from './jail/report.js';
export { canonicalJson } from './plan/canonical-json.js';
export { addDigests } from './plan/digest.js';
export {
  type DirectoryEntry,
  type Entry,
  type FileEntry,
  MANIFEST_SCHEMA,
  type Manifest,
  type ManifestRequest,
  type MissingLibrary,
  type Reason,
  type SearchRule,
  type SymlinkEntry,
} from './plan/manifest.js';
export { plan } from './plan/plan.js';
export type { CollectedFile } from './resolve/file-collection.js';
export type { ResolveRequest, TerminfoChoice } from './resolve/request.js';
export { type Closure, resolve } from './resolve/resolve.js';
export type { FileStat } from './sysroot/sysroot.js';
