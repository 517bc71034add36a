import { JailbuildError } from '../../errors.js';
import { isCoverable } from './protection.js';
import { type JailRecord, readRecord } from './record.js';
import { STATE_DIRECTORY } from './state.js';

/**
 * Reads the record of a jail to run. Users who may not read the record can still run the jail, as if it had none.
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
 * Returns the empty directory mounted over the record's place while the jail runs, so that the jail's processes can
 * neither read nor create a record. Undefined if nothing can be mounted there.
 */
export function recordCover(
  root: string,
): { readonly target: string; readonly options: string } | undefined {
  if (!isCoverable(root)) return undefined;
  return { target: `/${STATE_DIRECTORY}`, options: 'ro,mode=0555,nr_inodes=1' };
}
