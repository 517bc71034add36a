import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { writeJail } from '../../src/jail/write/write.js';
import { manifestOf, scratch } from './support.js';

const FILES = 8;
const SIZE = 6 << 20;
const ROUNDS = 6;

test('a source that gets more hard links while it is copied counts as unchanged', async (t) => {
  const directory = scratch(t);
  const host = path.join(directory, 'host');
  mkdirSync(path.join(host, 'usr'), { recursive: true });
  for (let index = 0; index < FILES; index++) {
    // More than one read, and not repetitive.
    writeFileSync(path.join(host, `usr/${index}`), Buffer.alloc(SIZE, `content ${index}`));
  }
  const manifest = manifestOf(host);
  const script = 'echo; while :; do for file in host/usr/*; do ln -f $file link; done; done';
  const linker = spawn('sh', ['-c', script], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(linker.stdout, 'data');
    for (let round = 0; round < ROUNDS; round++) {
      const jail = path.join(directory, `jail${round}`);
      await writeJail(manifest, jail, { sourceRoot: host, insecureParents: true });
      for (let index = 0; index < FILES; index++) {
        assert.ok(
          readFileSync(`${jail}/usr/${index}`).equals(readFileSync(`${host}/usr/${index}`)),
        );
      }
    }
  } finally {
    linker.kill('SIGKILL');
    await once(linker, 'exit');
  }
});
