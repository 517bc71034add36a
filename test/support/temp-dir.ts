import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

/** A directory of the calling test file's own, removed when its tests are done. */
export function tempDir(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-test-'));
  chmodSync(directory, 0o755);
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
