import { Survey } from '../../fs/survey.js';
import { FrontConnection } from './front-connection.js';
import { openNativeEngine } from './open.js';

/** Number of directories listed per request. */
const LISTED = 256;

/**
 * Lists trees of the sources with the native front, which inspects files in threads and several times as fast as Node.
 * What it cannot read is left out, and inspected by who needs it.
 *
 * @param sourceRoot the real path of the sysroot, '' for `/`
 * @param trees paths of directories inside it, without links on the way
 * @returns undefined without the front: to start another program takes longer than most trees
 */
export async function surveySources(
  sourceRoot: string,
  trees: readonly string[],
): Promise<Survey | undefined> {
  if (trees.length === 0 || !FrontConnection.isFree) return undefined;
  return surveyTrees(sourceRoot, trees);
}

/** As {@link surveySources}, with any native engine. */
export async function surveyTrees(
  sourceRoot: string,
  trees: readonly string[],
): Promise<Survey | undefined> {
  const root = sourceRoot || '/';
  const engine = await openNativeEngine(root, root);
  if (engine === undefined) return undefined;
  try {
    const survey = new Survey();
    for (let level: readonly string[] = trees; level.length > 0; ) {
      const next: string[] = [];
      for (let first = 0; first < level.length; first += LISTED) {
        const paths = level.slice(first, first + LISTED);
        const entries = await engine.entries(paths.map((path) => path.slice(1)));
        for (const [index, pieces] of entries) {
          next.push(...survey.add(paths[index] ?? '', pieces));
        }
      }
      level = next;
    }
    return survey;
  } finally {
    await engine.close();
  }
}
