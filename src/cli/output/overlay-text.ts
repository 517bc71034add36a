import type { OverlayChanges } from '../../launcher/overlay-changes.js';
import { jsonLine } from './json.js';
import { plural, printable } from './text.js';

const MARK = { added: '+', removed: '-', changed: '~' } as const;

/** Lists the changes of an overlay, one path a line, and their number. */
export function overlayText({ changes, unreadable }: OverlayChanges): string {
  const lines = changes.map(({ kind, path, type, details }) => {
    const more = details.length === 0 ? '' : `: ${details.join(', ')}`;
    return printable(
      `${MARK[kind]} ${path}${type === 'directory' && path !== '/' ? '/' : ''}${more}`,
    );
  });
  const unknown = unreadable.map((path) => printable(`? ${path}/: cannot be read`));
  const summary = changes.length === 0 ? 'No changes' : plural(changes.length, 'change');
  return [...lines, ...unknown, summary].map((line) => `${line}\n`).join('');
}

/** Returns the changes of an overlay as one line of JSON. */
export function overlayJson(root: string, overlay: string, found: OverlayChanges): string {
  const status = found.changes.length === 0 ? 'same' : 'different';
  return jsonLine({ status, before: root, after: `overlay:${overlay}`, ...found });
}
