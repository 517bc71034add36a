import { JailbuildError } from '../errors.js';
import { insecureParent } from '../fs/insecure-parent.js';
import type { Target } from './target.js';

/**
 * Refuses a jail whose path users other than root and the builder could change: each directory on the way must belong
 * to one of the two and be writable by no one else, also not by an access control list. In a sticky directory such as
 * /tmp, others can create entries but not rename or remove existing ones (rename(2)); an entry that they own is
 * refused.
 *
 * @throws JailbuildError TARGET_INSECURE naming the directory
 */
export function refuseInsecure({ path, existing }: Target, target: string): void {
  const found = insecureParent(existing);
  if (found === undefined) return;
  const where = found.path === path ? '' : `${found.path} `;
  const rest = found.isUnmapped
    ? ' and could be anyone: build outside of the namespace, or with --insecure-parents'
    : ', who could redirect the build: restrict access, or build with --insecure-parents';
  throw new JailbuildError('TARGET_INSECURE', `${target}: ${where}${found.why}${rest}`, target);
}
