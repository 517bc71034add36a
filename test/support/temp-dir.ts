import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

/** Creates a directory for the calling test file, removed after its tests. */
export function tempDir(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-test-'));
  chmodSync(directory, 0o755);
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
