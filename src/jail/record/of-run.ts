import { JailbuildError } from '../../errors.js';
import { isCoverable } from './protection.js';
import { type JailRecord, readRecord } from './record.js';
import { STATE_DIRECTORY } from './state.js';

/**
 * Reads the record of a jail that is to be run. A jail may be run by users who may not read its record:
 * it is then as if there were none.
 *
 * @throws JailbuildError RECORD_REFUSED, and for root NOT_READABLE
 */
export function recordOfRun(root: string): JailRecord | undefined {
  try {
    return readRecord(root);
  } catch (error) {
    const mayNotRead = error instanceof JailbuildError && error.code === 'NOT_READABLE';
    if (mayNotRead && process.geteuid?.() !== 0) return undefined;
    throw error;
  }
}

/**
 * What lies upon the record of a jail while something runs in it, whose concern it is not, or upon the
 * place that a record would have: an empty directory. Undefined where nothing can be mounted.
 */
export function recordCover(
  root: string,
): { readonly target: string; readonly options: string } | undefined {
  if (!isCoverable(root)) return undefined;
  return { target: `/${STATE_DIRECTORY}`, options: 'ro,mode=0555,nr_inodes=1' };
}
