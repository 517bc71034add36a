import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openEngine, openNodeEngine } from '../../src/jail/engine/open.js';
import type { Operation } from '../../src/jail/engine/operations.js';
import { writeJail } from '../../src/jail/write/write.js';
import { MANIFEST_SCHEMA, type Manifest } from '../../src/manifest/manifest.js';
import { scratch } from './support.js';

/** More than an engine is asked for at a time, so that requests are under way when it is to stop. */
const COUNT = 5000;
const MTIME = '1700000000.000000000';

function manifest(): Manifest {
  const made = { uid: 0, gid: 0, mtime: MTIME, reasons: [{ kind: 'parent' }] } as const;
  return {
    schema: MANIFEST_SCHEMA,
    request: { programs: [], terminfo: 'none', ldCache: 'none' },
    entries: [
      { type: 'directory', path: '/data', mode: '0755', ...made },
      ...Array.from({ length: COUNT }, (_, index) => ({
        type: 'file' as const,
        path: `/data/${String(index).padStart(5, '0')}`,
        mode: '0644',
        size: 4,
        content: Buffer.from('data').toString('base64'),
        ...made,
      })),
    ],
    missing: [],
    warnings: [],
  };
}

for (const [engine, open] of [
  ['native', openEngine],
  ['node', openNodeEngine],
] as const) {
  test(`${engine}: a build that is interrupted at any place leaves nothing`, async (t) => {
    const directory = scratch(t);
    for (const at of [1, 300, 700]) {
      const controller = new AbortController();
      let seen = 0;
      const target = path.join(directory, 'jail');
      await assert.rejects(
        writeJail(manifest(), target, {
          signal: controller.signal,
          insecureParents: true,
          openEngine: open,
          onFile: () => {
            if (++seen === at) controller.abort();
          },
        }),
        { name: 'AbortError' },
      );
      assert.ok(seen >= at && seen < COUNT, `${seen} files`);
      assert.deepEqual(readdirSync(directory), []);
    }
  });
}

test('an engine that was stopped takes further work', async (t) => {
  const directory = scratch(t);
  mkdirSync(path.join(directory, 'a'));
  const engine = await openEngine(directory, '/');
  t.after(() => engine.close());
  const operations = Array.from(
    { length: COUNT },
    (_, index): Operation => ({ op: 'mkdir', path: `a/${index}` }),
  );
  for (let round = 0; round < 4; round++) {
    const controller = new AbortController();
    const stopped = engine.run(operations, {
      signal: controller.signal,
      onDone: (index) => {
        if (index > round * 100) controller.abort();
      },
    });
    await assert.rejects(stopped, { name: 'AbortError' });
    await engine.run([{ op: 'empty', path: 'a' }]);
    assert.deepEqual(readdirSync(path.join(directory, 'a')), []);
  }
});
