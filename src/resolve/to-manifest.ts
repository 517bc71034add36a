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
  const reasonsOf = sharedReasons();
  const entries: Entry[] = [];
  for (const file of files) {
    const entry = entryOf(file, reasonsOf(file.reasons));
    if (entry === undefined) continue;
    const first = entry.type === 'file' ? names.get(file.stat.identity) : undefined;
    if (entry.type === 'file' && first !== undefined) {
      entries.push({ ...entry, hardlink: first });
      continue;
    }
    if (entry.type === 'file') names.set(file.stat.identity, entry.path);
    entries.push(entry);
  }
  return entries;
}

function entryOf(file: CollectedFile, reasons: readonly Reason[]): Entry | undefined {
  const { path, source, stat, target, content, device, isMade } = file;
  const { uid, gid, size } = stat;
  const mode = stat.mode.toString(8).padStart(4, '0');
  const mtime = timestamp(stat.mtimeNs);
  // Nearly all entries of a large jail: without spreading, they take half of the memory.
  if (stat.type === 'file' && !isMade && content === undefined) {
    return { type: 'file', path, mode, uid, gid, mtime, source, reasons, size };
  }
  const base = { path, mode, uid, gid, mtime, ...(isMade ? {} : { source }), reasons };
  switch (stat.type) {
    case 'directory':
      return { type: 'directory', ...base };
    case 'symlink':
      return target === undefined ? undefined : { type: 'symlink', ...base, target };
    case 'file':
      return content === undefined
        ? { type: 'file', ...base, size }
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

/**
 * Returns a function that drops `parent` if there is another reason. Entries with one and the same reason share their
 * list.
 */
function sharedReasons(): (reasons: readonly Reason[]) => readonly Reason[] {
  const lists = new Map<Reason, readonly Reason[]>();
  return (reasons) => {
    const own = reasons.filter(({ kind }) => kind !== 'parent');
    const [only, ...others] = own.length > 0 ? own : reasons;
    if (only === undefined || others.length > 0) return own.length > 0 ? own : reasons;
    const known = lists.get(only);
    if (known !== undefined) return known;
    const list = [only];
    lists.set(only, list);
    return list;
  };
}
