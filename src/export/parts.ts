import type { FileEntry } from '../manifest/manifest.js';
import type { WorkMeter } from '../manifest/work.js';
import { Chunks, type FileTree, type Packing } from './file-tree.js';

/** A part of an archive: bytes, the content of a file, or zeros up to a multiple of a number of bytes. */
export type Part =
  | { readonly bytes: Buffer }
  | { readonly file: FileEntry }
  | { readonly alignment: number };

/**
 * Gathers the parts of an archive in chunks.
 *
 * @throws JailbuildError NOT_READABLE, SOURCE_CHANGED
 */
export function* packed(
  tree: Omit<FileTree, 'entries'>,
  parts: Iterable<Part>,
  meter?: WorkMeter,
  packing?: Packing,
): Generator<Buffer> {
  const chunks = new Chunks(tree, meter, packing);
  for (const part of parts) {
    if ('bytes' in part) yield* chunks.bytes(part.bytes);
    else if ('file' in part) yield* chunks.content(part.file);
    else yield* chunks.pad(part.alignment);
  }
  yield* chunks.end();
}
