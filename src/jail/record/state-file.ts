import { crc32 } from 'node:zlib';
import type { StateBlock } from './state-blocks.js';

/** First bytes of a file; the last is the format version. */
const MAGIC = Buffer.from('jbstate\x01', 'latin1');
/** After the magic: a checksum of the rest and the length of the head. */
const PREFIX = MAGIC.length + 8;

/** Groups of blocks by name. */
export type BlockGroups = Readonly<Record<string, readonly StateBlock[]>>;

/**
 * Returns the parts of a state file: a head in JSON, followed by blocks as they are.
 *
 * @param head any JSON object
 */
export function stateFileParts(head: object, groups: BlockGroups): Buffer[] {
  const lengths = Object.fromEntries(
    Object.entries(groups).map(([name, blocks]) => [name, blocks.map(({ length }) => length)]),
  );
  const text = Buffer.from(JSON.stringify({ head, lengths }));
  const start = Buffer.concat([Buffer.alloc(PREFIX), text]);
  const blocks = Object.values(groups).flat();
  MAGIC.copy(start);
  start.writeUInt32LE(text.length, MAGIC.length + 4);
  let checksum = crc32(start.subarray(MAGIC.length + 4));
  for (const block of blocks) checksum = crc32(block, checksum);
  start.writeUInt32LE(checksum, MAGIC.length);
  return [start, ...blocks];
}

/**
 * Parses a state file.
 *
 * @returns undefined if it is damaged or another format
 */
export function readStateFile(
  bytes: Buffer,
): { readonly head: unknown; readonly groups: BlockGroups } | undefined {
  if (bytes.length < PREFIX || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (crc32(bytes.subarray(MAGIC.length + 4)) !== bytes.readUInt32LE(MAGIC.length))
    return undefined;
  let at = PREFIX + bytes.readUInt32LE(MAGIC.length + 4);
  const { head, lengths } = JSON.parse(bytes.toString('utf8', PREFIX, at)) as {
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
