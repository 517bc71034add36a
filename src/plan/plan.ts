import type { CollectedFile } from '../resolve/file-collection.js';
import type { Closure } from '../resolve/resolve.js';
import { type Entry, MANIFEST_SCHEMA, type Manifest, type Reason } from './manifest.js';
import { timestamp } from './timestamp.js';

/**
 * Puts a closure in the form of a manifest. Files carry no digests yet: see `addDigests`.
 * The same closure gives the same manifest.
 */
export function plan(closure: Closure): Manifest {
  return {
    schema: MANIFEST_SCHEMA,
    request: closure.request,
    entries: closure.files.flatMap((file) => entryOf(file) ?? []),
    missing: closure.missing,
    warnings: closure.warnings,
    hints: closure.hints,
  };
}

function entryOf(file: CollectedFile): Entry | undefined {
  const { path, stat, target, content, device, reasons } = file;
  const base = {
    path,
    mode: stat.mode.toString(8).padStart(4, '0'),
    uid: stat.uid,
    gid: stat.gid,
    mtime: timestamp(stat.mtimeNs),
    ...(file.isMade ? {} : { source: path }),
    reasons: essential(reasons),
  };
  switch (stat.type) {
    case 'directory':
      return { type: 'directory', ...base };
    case 'symlink':
      return target === undefined ? undefined : { type: 'symlink', ...base, target };
    case 'file':
      return content === undefined
        ? { type: 'file', ...base, size: stat.size }
        : { type: 'file', ...base, size: content.length, content: content.toString('base64') };
    case 'character-device':
    case 'block-device':
      return device === undefined ? undefined : { type: stat.type, ...base, ...device };
    case 'fifo':
      return { type: 'fifo', ...base };
    default:
      return undefined;
  }
}

/** Being on the way to others says nothing more about what has a reason of its own. */
function essential(reasons: readonly Reason[]): readonly Reason[] {
  const own = reasons.filter(({ kind }) => kind !== 'parent');
  return own.length > 0 ? own : reasons;
}
