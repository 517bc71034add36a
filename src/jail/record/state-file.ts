import { crc32 } from 'node:zlib';
import type { StateBlock } from './state-blocks.js';

/** First bytes of a file; the last is the format version. */
const MAGIC = Buffer.from('jbstate\x02', 'latin1');
/** At the end: the length of the head, and a checksum of all between the magic and itself. */
const TAIL = 8;

/** Groups of blocks by name. */
export type BlockGroups = Readonly<Record<string, readonly StateBlock[]>>;

/**
 * Yields the parts of a state file: blocks as they are, followed by a head in JSON, so that the blocks of a large jail
 * need not be in memory at once.
 *
 * @param head any JSON object
 * @param groups blocks by name, each asked for once
 */
export function* stateFileParts(
  head: object,
  groups: Readonly<Record<string, Iterable<StateBlock>>>,
): Generator<Buffer> {
  const lengths: Record<string, number[]> = {};
  let checksum = 0;
  yield MAGIC;
  for (const [name, blocks] of Object.entries(groups)) {
    const own: number[] = [];
    lengths[name] = own;
    for (const block of blocks) {
      own.push(block.length);
      checksum = crc32(block, checksum);
      yield block;
    }
  }
  const text = Buffer.from(JSON.stringify({ head, lengths }));
  const tail = Buffer.alloc(TAIL);
  tail.writeUInt32LE(text.length);
  tail.writeUInt32LE(crc32(tail.subarray(0, 4), crc32(text, checksum)), 4);
  yield text;
  yield tail;
}

/**
 * Parses a state file.
 *
 * @returns undefined if it is damaged or another format
 */
export function readStateFile(
  bytes: Buffer,
): { readonly head: unknown; readonly groups: BlockGroups } | undefined {
  const end = bytes.length - TAIL;
  if (end < MAGIC.length || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (crc32(bytes.subarray(MAGIC.length, end + 4)) !== bytes.readUInt32LE(end + 4))
    return undefined;
  let at = MAGIC.length;
  const start = end - bytes.readUInt32LE(end);
  const { head, lengths } = JSON.parse(bytes.toString('utf8', start, end)) as {
    readonly head: unknown;
    readonly lengths: Readonly<Record<string, readonly number[]>>;
  };
  const groups: Record<string, StateBlock[]> = {};
  for (const [name, sizes] of Object.entries(lengths)) {
    groups[name] = sizes.map((size) => {
      const block = bytes.subarray(at, at + size);
      at += size;
      return block;
    });
  }
  return { head, groups };
}
