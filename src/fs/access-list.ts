import { spawnSync } from 'node:child_process';
import { nativeProgram } from './native-program.js';
import { pathBuffer } from './path-bytes.js';

/** A user or group that an access control list lets write. */
export interface ListedWriter {
  readonly kind: 'user' | 'group';
  readonly id: number;
}

/** Layout of a list in its attribute: a version, then tag, permissions and ID of each entry. */
const [HEADER, ENTRY, TAG, PERMISSIONS, ID] = [4, 8, 0, 2, 4];
const [NAMED_USER, NAMED_GROUP] = [0x02, 0x08];
const WRITE = 2;
/** The answer of the native program for a list that cannot be read. */
const UNREADABLE = 0xffffffff;

/**
 * Returns the users and groups that the access control lists of files let write (acl(5)). The permissions of the mask
 * are not applied. Node cannot read extended attributes, so a native program does.
 *
 * @param files absolute paths
 * @returns one list for each file; undefined if it cannot be read or the native program is not available
 */
export function listedWriters(
  files: readonly string[],
): readonly (readonly ListedWriter[] | undefined)[] {
  const program = nativeProgram('jail_engine').found;
  if (files.length === 0 || program === undefined) return files.map(() => undefined);
  const input = Buffer.concat(files.flatMap((file) => [pathBuffer(file), Buffer.of(0)]));
  const { status, stdout } = spawnSync(program, ['--access-lists'], {
    cwd: '/',
    env: {},
    input,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if (status !== 0) return files.map(() => undefined);
  let at = 0;
  return files.map(() => {
    const length = stdout.readUInt32LE(at);
    at += 4;
    if (length === UNREADABLE) return undefined;
    const list = stdout.subarray(at, at + length);
    at += length;
    return writersOf(list);
  });
}

function writersOf(list: Buffer): readonly ListedWriter[] {
  const writers: ListedWriter[] = [];
  for (let at = HEADER; at + ENTRY <= list.length; at += ENTRY) {
    if ((list.readUInt16LE(at + PERMISSIONS) & WRITE) === 0) continue;
    const tag = list.readUInt16LE(at + TAG);
    const id = list.readUInt32LE(at + ID);
    if (tag === NAMED_USER) writers.push({ kind: 'user', id });
    else if (tag === NAMED_GROUP) writers.push({ kind: 'group', id });
  }
  return writers;
}
