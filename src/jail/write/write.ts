import { releaseTrees } from '../../fs/held-tree.js';
import type { Manifest } from '../../manifest/manifest.js';
import { refuseInsecure } from '../parents.js';
import { forgetUnprotected } from '../record/protection.js';
import type { FileReport } from '../report.js';
import { locateTarget } from '../target.js';
import { writeExistingJail } from './existing-jail.js';
import { writeNewJail } from './new-jail.js';
import type { WriteOptions } from './options.js';

/**
 * Writes the plan into a jail. A new jail appears complete, by one rename(2). In an existing one, all new content is
 * staged before the first file is replaced, each by a rename; entries outside the plan stay. A failure leaves
 * everything as it was.
 *
 * @param target the jail's directory, checked by `checkTarget`; missing parents are created
 * @returns one report for each entry, in the plan's order
 * @throws JailbuildError CONFLICT, SOURCE_CHANGED, NOT_READABLE, WRITE_FAILED, NOT_EXACT, TARGET_NOT_A_DIRECTORY,
 * TARGET_INSECURE, TARGET_BUSY
 * @throws the signal's reason
 */
export async function writeJail(
  manifest: Manifest,
  target: string,
  options: WriteOptions = {},
): Promise<FileReport[]> {
  let told = false;
  const onWait = (): void => {
    if (!told) options.onWait?.();
    told = true;
  };
  try {
    for (;;) {
      const where = locateTarget(target);
      if (!options.insecureParents) refuseInsecure(where, target);
      if (where.existing === where.path)
        return await writeExistingJail(manifest, where.path, { ...options, onWait });
      const reports = await writeNewJail(manifest, where, { ...options, onWait });
      // Undefined if another build made the jail meanwhile.
      if (reports === undefined) continue;
      forgetUnprotected(where.path);
      return reports;
    }
  } finally {
    releaseTrees();
  }
}
