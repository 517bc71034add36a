import type { ReadFacts } from '../../fs/file-facts.js';
import { FrontConnection } from './front-connection.js';
import { beginRequest, factsRequest, ReplyKind, ReplyReader } from './protocol.js';

/** Number of files that one thread reads before it takes others. */
const BATCH = 16;

/**
 * Returns a function that has the native front read ELF files of the sources, in threads and without a system call of
 * Node for each part.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @returns undefined without the front: to start another program takes longer than to read a few files
 */
export function readSourceFacts(sourceRoot: string): ReadFacts | undefined {
  if (!FrontConnection.isFree) return undefined;
  const root = sourceRoot || '/';
  return (paths, names) => {
    const batches: string[][] = [];
    for (let first = 0; first < paths.length; first += BATCH) {
      batches.push(paths.slice(first, first + BATCH).map((path) => path.slice(1)));
    }
    const found: { key: string; text: string }[] = [];
    const replies = new ReplyReader();
    const session = [beginRequest(root, root), factsRequest(1, 1, batches, names)];
    const isWhole = FrontConnection.serve(session, (bytes) => {
      let isOver = false;
      for (const { kind, data } of replies.read(bytes)) {
        if (kind === ReplyKind.end) isOver = true;
        if (kind !== ReplyKind.data) continue;
        const cut = data.indexOf('\n');
        const key = data.toString('latin1', 0, cut);
        found.push({ key, text: data.toString('latin1', cut + 1) });
      }
      return isOver;
    });
    return isWhole ? found : [];
  };
}
