import { readFileSync } from 'node:fs';
import path from 'node:path';
import { JailbuildError } from '../errors.js';
import { uuidOfHash } from '../text/uuid.js';
import { type DiskTool, runTool } from './disk-tool.js';

const VERITYSETUP: DiskTool = { program: 'veritysetup', package: 'cryptsetup-bin' };

/** The dm-verity hash tree of an image, and the file of its root hash. */
export interface Verity {
  /** The file of the hash tree. */
  readonly path: string;
  /** 64 hex digits. */
  readonly rootHash: string;
}

/**
 * Returns where the hash tree and the root hash of an image are: beside it, under the names by which
 * systemd finds them (systemd.exec(5), `RootHash=`).
 */
export function verityPaths(image: string): { readonly tree: string; readonly rootHash: string } {
  const base = image.endsWith('.raw') ? image.slice(0, -'.raw'.length) : image;
  return { tree: `${base}.verity`, rootHash: `${base}.roothash` };
}

/**
 * Writes the dm-verity hash tree of an image. Salt and UUID come from the image, so that the same image has
 * the same tree.
 *
 * @param digest SHA-256 of the image
 * @returns the root hash, in hex
 * @throws JailbuildError TOOL_MISSING, WRITE_FAILED
 */
export async function writeVerity(
  image: string,
  digest: Buffer,
  tree: string,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hashFile = path.join(scratch, 'roothash');
  const args = [
    ...['format', '--hash=sha256', '--data-block-size=4096', '--hash-block-size=4096'],
    ...[`--salt=${digest.toString('hex')}`, `--uuid=${uuidOfHash(digest)}`],
    ...[`--root-hash-file=${hashFile}`, image, tree],
  ];
  await runTool(VERITYSETUP, args, { signal });
  const hash = readFileSync(hashFile, 'latin1').trim();
  if (/^[0-9a-f]{64}$/.test(hash)) return hash;
  throw new JailbuildError('WRITE_FAILED', `veritysetup: wrote no root hash: ${hash}`);
}
