import { JailbuildError } from '../errors.js';
import type { Entry } from '../manifest/manifest.js';
import { matcher } from '../profile/glob.js';
import { formatSize, plural } from '../text/format.js';

/** Limits on the contents of a root. */
export interface Limits {
  /** The total size of all files in bytes. */
  readonly maxSize?: number;
  /** The number of files, links and nodes, without directories. */
  readonly maxFiles?: number;
  /** Patterns of forbidden paths. */
  readonly forbid?: readonly string[];
  /** Refuse set-user-ID and set-group-ID files, and file capabilities. */
  readonly forbidSetId?: boolean;
}

/** A limit that a root exceeds. */
export interface Excess {
  /** The affected path, or `/` for the whole root. */
  readonly path: string;
  /** The limit and the actual value: a sentence without the path. */
  readonly problem: string;
}

/** Returns where a root exceeds limits, whole-root limits first. */
export function excesses(entries: readonly Entry[], limits: Limits): Excess[] {
  const { maxSize, maxFiles, forbid = [], forbidSetId = false } = limits;
  const found: Excess[] = [];
  const size = entries.reduce(
    (sum, entry) => sum + (entry.type === 'file' && entry.hardlink === undefined ? entry.size : 0),
    0,
  );
  if (maxSize !== undefined && size > maxSize) {
    found.push({
      path: '/',
      problem: `contains ${formatSize(size)}, but --max-size allows ${formatSize(maxSize)}`,
    });
  }
  const files = entries.filter(({ type }) => type !== 'directory').length;
  if (maxFiles !== undefined && files > maxFiles) {
    const problem = `contains ${plural(files, 'file')}, but --max-files allows ${maxFiles}`;
    found.push({ path: '/', problem });
  }
  const patterns = forbid.map((pattern) => ({
    pattern,
    matches: matcher([pattern], { dot: true, matchBase: !pattern.includes('/') }),
  }));
  for (const entry of entries) {
    for (const { pattern, matches } of patterns) {
      if (matches(entry.path)) {
        found.push({ path: entry.path, problem: `is forbidden by --forbid ${pattern}` });
      }
    }
    if (!forbidSetId || entry.type !== 'file') continue;
    if ((Number.parseInt(entry.mode, 8) & 0o6000) !== 0) {
      found.push({
        path: entry.path,
        problem: `has mode ${entry.mode}, which --forbid-set-id refuses`,
      });
    } else if (entry.xattrs?.['security.capability'] !== undefined) {
      found.push({
        path: entry.path,
        problem: 'has file capabilities, which --forbid-set-id refuses',
      });
    }
  }
  return found;
}

/**
 * Refuses a root that exceeds limits.
 *
 * @throws JailbuildError LIMIT_EXCEEDED naming the first excess and the number of others
 */
export function refuseExcess(entries: readonly Entry[], limits: Limits): void {
  const [first, ...rest] = excesses(entries, limits);
  if (first === undefined) return;
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
  throw new JailbuildError('LIMIT_EXCEEDED', `${first.path}: ${first.problem}${more}`, first.path);
}
