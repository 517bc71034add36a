import type { FileStat } from '../fs/file-view.js';
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
  const reasonsOf = sharedReasons();
  const entries: Entry[] = [];
  const planned: CollectedFile[] = [];
  const inodes = new Float64Array(files.length).fill(Number.NaN);
  for (const file of files) {
    const { stat } = file;
    const entry = entryOf(file, stat, reasonsOf(file.reasons));
    if (entry === undefined) continue;
    if (entry.type === 'file') inodes[entries.length] = stat.inode ?? Number.NaN;
    entries.push(entry);
    planned.push(file);
  }
  const repeated = repeatedIn(inodes);
  const names = new Map<string, string>();
  for (const [index, file] of planned.entries()) {
    const entry = entries[index];
    const inode = inodes[index] ?? Number.NaN;
    if (entry?.type !== 'file' || !(Number.isNaN(inode) || repeated.has(inode))) continue;
    const { identity } = file.stat;
    const first = names.get(identity);
    if (first === undefined) names.set(identity, entry.path);
    else entries[index] = { ...entry, hardlink: first };
  }
  return entries;
}

/** Returns the numbers that a list has more than once. A set of all of a large tree would take much memory. */
function repeatedIn(numbers: Float64Array): Set<number> {
  const sorted = numbers.slice().sort();
  return new Set(sorted.filter((value, index) => value === sorted[index - 1]));
}

/** Texts of modes, of which a tree has few. */
const modes = new Map<number, string>();

function modeText(mode: number): string {
  let text = modes.get(mode);
  if (text === undefined) {
    text = mode.toString(8).padStart(4, '0');
    modes.set(mode, text);
  }
  return text;
}

function entryOf(
  file: CollectedFile,
  stat: FileStat,
  reasons: readonly Reason[],
): Entry | undefined {
  const { path, source, target, content, device, isMade } = file;
  const { uid, gid, size } = stat;
  const mode = modeText(stat.mode);
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
  const listOf = (only: Reason): readonly Reason[] => {
    let list = lists.get(only);
    if (list === undefined) {
      list = [only];
      lists.set(only, list);
    }
    return list;
  };
  return (reasons) => {
    const [single] = reasons;
    if (single !== undefined && reasons.length === 1) return listOf(single);
    const own = reasons.filter(({ kind }) => kind !== 'parent');
    const [only, ...others] = own.length > 0 ? own : reasons;
    if (only === undefined || others.length > 0) return own.length > 0 ? own : reasons;
    return listOf(only);
  };
}
