import { fileTotals, WorkMeter } from '../manifest/work.js';
import { cpioParts } from './cpio.js';
import type { Destination } from './destination.js';
import type { DiskDestination } from './disk-image.js';
import { drafted, openArchive } from './draft.js';
import type { FileTree } from './file-tree.js';
import type { ExportOptions } from './options.js';
import { packed } from './parts.js';
import type { ExportResult, WrittenExport } from './result.js';
import { tarParts } from './tar.js';
import { type Archive, writeArchive } from './write-archive.js';

/** Writes a tree as an archive, to a file or standard output. */
export async function exportArchive(
  tree: FileTree,
  destination: Extract<Destination, { kind: 'tar' | 'cpio' }>,
  options: ExportOptions,
): Promise<WrittenExport> {
  const { kind, path: file } = destination;
  const compression = options.compression ?? { kind: destination.compression };
  const meter = packMeter(tree, options);
  const parts = () => (kind === 'tar' ? tarParts : cpioParts)(tree.entries);
  const { onProgress, signal } = options;
  const archive: Archive = {
    pack: (packing) => watched(packed(tree, parts(), meter, packing), options),
    async place(output) {
      const { placeArchive } = await import('./place-archive.js');
      return placeArchive(output, tree, parts, { meter, onProgress, signal });
    },
  };
  const blob = await drafted(await openArchive(file, options.signal), async (output) => {
    const stored = await writeArchive(archive, compression, output, !options.skipDigest);
    output.commit();
    return stored;
  });
  return { format: kind, path: file, ...blob, entries: tree.entries.length };
}

/** Writes a tree as a file system. */
export async function exportDisk(
  tree: FileTree,
  destination: DiskDestination,
  options: ExportOptions,
): Promise<ExportResult> {
  const { writeDiskImage } = await import('./disk-image.js');
  const { signal } = options;
  const watch = (chunks: Iterable<Buffer>) => watched(chunks, options);
  const image = await writeDiskImage(tree, destination, options, {
    ...{ signal, watch, meter: packMeter(tree, options) },
  });
  const { kind, path: file } = destination;
  return { format: kind, path: file, ...image, entries: tree.entries.length };
}

/** Writes a tree as a portable service of systemd: a file system or a directory. */
export async function exportPortable(
  tree: FileTree,
  { kind, path: place }: Extract<Destination, { kind: 'portable' }>,
  options: ExportOptions,
): Promise<ExportResult> {
  const { checkPortable } = await import('./portable.js');
  checkPortable(tree, place);
  if (place.endsWith('.raw')) {
    return {
      ...(await exportDisk(tree, { kind: 'squashfs', path: place }, options)),
      format: kind,
    };
  }
  const { writeDirectory } = await import('./unpacked.js');
  const { signal } = options;
  const watch = (chunks: Iterable<Buffer>) => watched(chunks, options);
  const meter = packMeter(tree, options);
  const made = await writeDirectory(tree, place, { signal, watch, meter });
  return { format: kind, path: place, ...made, entries: tree.entries.length };
}

function packMeter({ entries }: FileTree, { onWork }: ExportOptions): WorkMeter {
  return new WorkMeter('pack', fileTotals(entries), onWork);
}

function* watched(chunks: Iterable<Buffer>, options: ExportOptions): Generator<Buffer> {
  for (const chunk of chunks) {
    options.signal?.throwIfAborted();
    options.onProgress?.(chunk.length);
    yield chunk;
  }
}
