import { JailbuildError } from '../errors.js';
import { type InsecureParent, parentsOf } from '../fs/insecure-parent.js';
import { openNativeEngine } from './engine/open.js';
import type { Target } from './target.js';

const ACL = 'system.posix_acl_access';
/** Layout of an access control list in an attribute: a version, then tag, permissions and ID of each entry. */
const [HEADER, ENTRY, TAG, PERMISSIONS, ID] = [4, 8, 0, 2, 4];
const [NAMED_USER, NAMED_GROUP] = [0x02, 0x08];
const WRITE = 2;

/**
 * Refuses a jail whose path users other than root and the builder could change: each directory on the way must belong
 * to one of the two and be writable by no one else, also not by an access control list, which only the native engine
 * can read. In a sticky directory such as /tmp, others can create entries but not rename or remove existing ones
 * (rename(2)); an entry that they own is refused.
 *
 * @throws JailbuildError TARGET_INSECURE naming the directory
 */
export async function refuseInsecure({ path, existing }: Target, target: string): Promise<void> {
  const { insecure, groupWritable } = parentsOf(existing);
  const found = insecure ?? (await grantedByList(groupWritable));
  if (found === undefined) return;
  const where = found.path === path ? '' : `${found.path} `;
  throw new JailbuildError(
    'TARGET_INSECURE',
    `${target}: ${where}${found.why}, who could redirect the build: restrict access, or build with --insecure-parents`,
    target,
  );
}

/** Returns the first of the directories whose access control list lets another user or group write to it. */
async function grantedByList(directories: readonly string[]): Promise<InsecureParent | undefined> {
  if (directories.length === 0) return undefined;
  const engine = await openNativeEngine('/', '/');
  if (engine === undefined) return undefined;
  try {
    const found = await engine.xattrs(directories.map((directory) => directory.slice(1) || '.'));
    for (const [index, path] of directories.entries()) {
      const list = found.get(index)?.[ACL];
      const writer = list === undefined ? undefined : writerOf(Buffer.from(list, 'base64'));
      if (writer !== undefined) return { path, why: `is writable by ${writer}` };
    }
    return undefined;
  } finally {
    await engine.close();
  }
}

/** Returns a user or group other than root and the builder that a list names and lets write. */
function writerOf(list: Buffer): string | undefined {
  const uid = process.geteuid?.() ?? 0;
  for (let at = HEADER; at + ENTRY <= list.length; at += ENTRY) {
    if ((list.readUInt16LE(at + PERMISSIONS) & WRITE) === 0) continue;
    const tag = list.readUInt16LE(at + TAG);
    const id = list.readUInt32LE(at + ID);
    if (tag === NAMED_USER && id !== 0 && id !== uid)
      return `uid ${id}, by its access control list`;
    if (tag === NAMED_GROUP && id !== 0) return `gid ${id}, by its access control list`;
  }
  return undefined;
}
