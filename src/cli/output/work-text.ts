import type { WorkProgress } from '../../manifest/work.js';
import { formatSize } from './text.js';

const DOING: Readonly<Record<WorkProgress['kind'], string>> = {
  hash: 'Hashing',
  write: 'Writing',
  pack: 'Packing',
  push: 'Pushing',
};

/**
 * Formats the progress of a task on one line: `Packing: 12 of 340 files, 1.2 MiB of 3.4 GiB (0 %)`.
 */
export function workText(progress: WorkProgress): string {
  const { kind, files, totalFiles, bytes, totalBytes } = progress;
  const share = totalBytes === 0 ? 100 : Math.min(100, Math.floor((bytes / totalBytes) * 100));
  const [done, total] = [files, totalFiles].map((count) => count.toLocaleString('en'));
  return `${DOING[kind]}: ${done} of ${total} files, ${formatSize(bytes)} of ${formatSize(totalBytes)} (${share} %)`;
}
