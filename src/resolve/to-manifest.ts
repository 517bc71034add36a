import { type Entry, MANIFEST_SCHEMA, type Manifest, type Reason } from '../manifest/manifest.js';
import { timestamp } from '../manifest/timestamp.js';
import type { CollectedFile } from './file-collection.js';
import type { Closure } from './resolve.js';

/**
 * Converts a closure to a manifest. Files have no digests yet: see `addDigests`. Equal closures
 * give equal manifests.
 */
export function plan(closure: Closure): Manifest {
  return {
    schema: MANIFEST_SCHEMA,
    request: closure.request,
    ...(Object.keys(closure.environment).length === 0 ? {} : { environment: closure.environment }),
    entries: linkNames(closure.files),
    missing: closure.missing,
    warnings: closure.warnings,
    hints: closure.hints,
    ...(closure.advice.length === 0 ? {} : { advice: closure.advice }),
  };
}

/**
 * Makes names of the same file, identified by device and inode, hard links to the first of them.
 */
function linkNames(files: readonly CollectedFile[]): Entry[] {
  const names = new Map<string, string>();
  return files.flatMap((file) => {
    const entry = entryOf(file);
    if (entry?.type !== 'file') return entry ?? [];
    const first = names.get(file.stat.identity);
    if (first !== undefined) return { ...entry, hardlink: first };
    names.set(file.stat.identity, entry.path);
    return entry;
  });
}

function entryOf(file: CollectedFile): Entry | undefined {
  const { path, stat, target, content, device, reasons } = file;
  const base = {
    path,
    mode: stat.mode.toString(8).padStart(4, '0'),
    uid: stat.uid,
    gid: stat.gid,
    mtime: timestamp(stat.mtimeNs),
    ...(file.isMade ? {} : { source: file.source }),
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

/** Drops `parent` if there is another reason. */
function essential(reasons: readonly Reason[]): readonly Reason[] {
  const own = reasons.filter(({ kind }) => kind !== 'parent');
  return own.length > 0 ? own : reasons;
}
