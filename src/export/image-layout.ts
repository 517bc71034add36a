import path from 'node:path';
import { draftFile } from '../fs/draft.js';
import { DraftDirectory } from '../fs/draft-directory.js';
import { BLOBS, BlobDirectory } from './blobs.js';
import type { Destination } from './destination.js';
import { drafted } from './draft.js';
import {
  INDEX_FILE,
  indexWith,
  LAYOUT,
  LAYOUT_FILE,
  readIndex,
  taggedImages,
} from './oci-layout.js';
import type { ExportOptions, ExportPart } from './options.js';
import { type ExportResult, imageResult } from './result.js';
import { referrersOf, type StoredImage, storeEach, uniteImages } from './store-images.js';

/**
 * Adds to an existing layout, or creates one. Its index, which makes an image part of it, is
 * written last and by one export at a time, so that images added meanwhile are kept.
 */
export async function exportLayout(
  parts: readonly ExportPart[],
  destination: Extract<Destination, { kind: 'oci' }>,
  { append, signal }: ExportOptions,
): Promise<ExportResult> {
  const { path: directory, tag } = destination;
  const addTo = async (root: string, images: readonly StoredImage[]): Promise<ExportResult> => {
    const known = root === directory ? readIndex(directory) : undefined;
    const beside = append ? taggedImages(directory, known, tag) : [];
    const stored = await uniteImages(images, new BlobDirectory(root), beside);
    await drafted(draftFile(path.join(root, INDEX_FILE)), async (index) => {
      await index.append(indexWith(known, stored.root, tag, referrersOf(stored)));
      index.commit();
    });
    return imageResult(parts, destination, stored, tag);
  };
  const addLocked = async (images: readonly StoredImage[]): Promise<ExportResult> => {
    const { lockJail } = await import('../jail/lock.js');
    const lock = await lockJail(directory, { wait: true, signal });
    try {
      return await addTo(directory, images);
    } finally {
      await lock.release();
    }
  };
  if (readIndex(directory) !== undefined) {
    return addLocked(await storeEach(parts, new BlobDirectory(directory)));
  }
  return drafted(new DraftDirectory(directory), async (draft) => {
    const store = new BlobDirectory(draft.path);
    const images = await storeEach(parts, store);
    await store.put([LAYOUT], () => LAYOUT_FILE);
    const result = await addTo(draft.path, images);
    if (draft.commitUnlessThere()) return result;
    // Another export has created the layout meanwhile.
    draft.moveFiles(BLOBS);
    const added = await addLocked(images);
    draft.discard();
    return added;
  });
}
