import type { Entry } from '../manifest/manifest.js';
import type { FileTree } from './file-tree.js';

/** An addition to a tree: the text of a file or the target of a link; a directory without either. */
export type Addition =
  | { readonly text: string | Buffer }
  | { readonly target: string }
  | 'directory';

/**
 * Adds files and their parent directories to a tree. Existing entries stay; additions below anything but a
 * directory are skipped.
 *
 * @param additions by absolute path
 */
export function withAdditions(
  { entries, sourceRoot }: FileTree,
  additions: ReadonlyMap<string, Addition>,
): FileTree {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  const common = { uid: 0, gid: 0, mtime: '0.000000000', reasons: [] };
  for (const [path, addition] of additions) {
    if (all.has(path)) continue;
    const parents: Entry[] = [];
    let isPossible = true;
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      const known = all.get(parent);
      if (known === undefined) {
        parents.push({ type: 'directory', path: parent, mode: '0755', ...common });
      } else if (known.type !== 'directory') {
        isPossible = false;
      }
    }
    if (!isPossible) continue;
    for (const parent of parents) all.set(parent.path, parent);
    all.set(path, { path, ...common, ...added(addition) });
  }
  const sorted = [...all.values()].sort((a, b) =>
    Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
  );
  return { entries: sorted, sourceRoot };
}

function added(addition: Addition) {
  if (addition === 'directory') return { type: 'directory', mode: '0755' } as const;
  if ('target' in addition) {
    return { type: 'symlink', mode: '0777', target: addition.target } as const;
  }
  const content = typeof addition.text === 'string' ? Buffer.from(addition.text) : addition.text;
  const body = { size: content.length, content: content.toString('base64') };
  return { type: 'file', mode: '0644', ...body } as const;
}
