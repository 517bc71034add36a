import { type BigIntStats, lstatSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { DirectoryView, type FileStat, type FileType } from './file-view.js';
import { toBytes } from './path-bytes.js';

/** Attributes of one file that could not be set on the file system, for example without root. */
export interface RecordedAttributes {
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly major?: number;
  readonly minor?: number;
  /** Values in base64, by full name. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** Name of the file beside the directory it describes, which is named `root`. */
export const ATTRIBUTES_FILE = 'attributes.json';
export const RECORDED_ROOT = 'root';

export type AttributesByPath = ReadonlyMap<string, RecordedAttributes>;

/**
 * Reads the attributes recorded for a directory: an image unpacked without root keeps owners, modes, devices and
 * extended attributes beside its files, as fakeroot(1) does.
 *
 * @param root the directory's real path
 * @returns undefined for an ordinary directory, and for a record that is damaged or that others may have written
 */
export function recordedAttributes(root: string): AttributesByPath | undefined {
  if (!root.endsWith(`/${RECORDED_ROOT}`)) return undefined;
  const known = loaded.get(root);
  if (known !== undefined) return known;
  const file = `${root.slice(0, -RECORDED_ROOT.length)}${ATTRIBUTES_FILE}`;
  const stat = lstatSync(toBytes(file), { throwIfNoEntry: false });
  const isOurs = stat?.uid === process.geteuid?.();
  if (!stat?.isFile() || !isOurs || (stat.mode & 0o022) !== 0) return undefined;
  const attributes = attributesOf(readFileSync(toBytes(file), 'utf8'));
  if (attributes !== undefined) loaded.set(root, attributes);
  return attributes;
}

/** Returns the content of a file of attributes: JSON, and a line with its checksum. */
export function attributesText(
  attributes: readonly (readonly [path: string, RecordedAttributes])[],
): string {
  const text = JSON.stringify(attributes);
  return `${text}\n${crc32(text)}\n`;
}

function attributesOf(content: string): AttributesByPath | undefined {
  const [text = '', sum] = content.split('\n');
  return sum === String(crc32(text)) ? new Map(JSON.parse(text)) : undefined;
}

const loaded = new Map<string, AttributesByPath>();

/**
 * Returns the result of lstat(2) with the owner and the permission bits that were recorded.
 *
 * @param recorded of the same file; without it, the result is returned as it is
 */
export function withRecorded(stat: BigIntStats, recorded?: RecordedAttributes): BigIntStats {
  if (recorded === undefined) return stat;
  const mode = (stat.mode & ~0o7777n) | BigInt(recorded.mode & 0o7777);
  const attributes = { mode, uid: BigInt(recorded.uid), gid: BigInt(recorded.gid) };
  return Object.assign(Object.create(Object.getPrototypeOf(stat)), stat, attributes);
}

/** A directory whose files have recorded attributes. */
export class RecordedView extends DirectoryView {
  readonly #attributes: AttributesByPath;

  constructor(prefix: string, attributes: AttributesByPath) {
    super(prefix);
    this.#attributes = attributes;
  }

  override lstat(path: string): FileStat | undefined {
    const stat = super.lstat(path);
    const recorded = stat && this.#attributes.get(path);
    if (recorded === undefined) return stat;
    const { type, mode, uid, gid } = recorded;
    return { ...stat, type, mode, uid, gid } as FileStat;
  }

  /** The survey says nothing of what is recorded. */
  override surveyed(): undefined {
    return undefined;
  }

  override dataStart(): undefined {
    return undefined;
  }

  /** The numbers of the file system say nothing of what is recorded. */
  override numbersOf(): undefined {
    return undefined;
  }

  override isShared(): boolean {
    return false;
  }
}
