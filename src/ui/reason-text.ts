import type { Reason } from '../plan/manifest.js';

/** A reason as a few words, to stand behind a path. */
export function reasonText(reason: Reason): string {
  switch (reason.kind) {
    case 'requested':
      return `requested as ${reason.as}`;
    case 'needed':
      return `needed by ${reason.by} [${reason.rule}]`;
    case 'interpreter':
      return `interpreter of ${reason.of}`;
    case 'shebang':
      return `interpreter of the script ${reason.of}`;
    case 'env':
      return `started as ${reason.name} by the script ${reason.of}`;
    case 'hwcaps':
      return `${reason.level} variant of ${reason.of}`;
    case 'link-target':
      return `target of ${reason.of}`;
    case 'parent':
      return 'on the way';
    case 'merged-usr':
      return 'merged-/usr link';
    case 'ld-cache':
      return 'library cache';
    case 'terminfo':
      return `terminal description ${reason.name}`;
  }
}
