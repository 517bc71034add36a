import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A directory for what must be at hand before it can be sent, removed by the caller. */
export function scratchDirectory(): string {
  return mkdtempSync(path.join(tmpdir(), 'jailbuild-export-'));
}
