import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { cpioParts } from '../../src/export/cpio.js';
import { exportParts } from '../../src/export/export.js';
import type { FileTree } from '../../src/export/file-tree.js';
import { type Part, packed } from '../../src/export/parts.js';
import { placeArchive } from '../../src/export/place-archive.js';
import { scanTree } from '../../src/export/scan.js';
import { tarParts } from '../../src/export/tar.js';
import { type Draft, draftFile } from '../../src/fs/draft.js';
import { nativeProgram } from '../../src/fs/native-program.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { fileTotals, WorkMeter } from '../../src/manifest/work.js';
import { needsThat } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';

const NATIVE = needsThat(
  'the native writer',
  () => nativeProgram('jail_engine').found !== undefined,
);
const MIB = 1 << 20;
/** Sizes around blocks, the writer's buffer with a header in it, and its parts. */
const SIZES = [0, 1, 511, 512, 513, 130_559, 130_560, 130_561, 131_073, MIB + 1, 17 * MIB + 5];

/** Creates files of many sizes in a directory of its own, and scans them. */
function makeTree(): FileTree {
  const source = tempDir();
  mkdirSync(path.join(source, 'files'));
  for (const size of SIZES) {
    const bytes = Buffer.alloc(size, `${size} bytes of `);
    writeFileSync(path.join(source, 'files', `${size}-${'n'.repeat(size % 140)}`), bytes);
  }
  linkSync(path.join(source, 'files/1-n'), path.join(source, 'files/again'));
  symlinkSync('files', path.join(source, 'link'));
  const fd = openSync(path.join(source, 'sparse'), 'w');
  writeSync(fd, 'data', 3 * MIB);
  ftruncateSync(fd, 9 * MIB + 7);
  closeSync(fd);
  return treeOf(source);
}

function treeOf(source: string): FileTree {
  const { entries, sourceRoot } = scanTree(source, { leaveOut: [] });
  return { entries, sourceRoot };
}

async function place(
  tree: FileTree,
  draft: Draft,
  partsOf: (entries: readonly Entry[]) => Iterable<Part> = tarParts,
  signal?: AbortSignal,
): Promise<boolean> {
  const meter = new WorkMeter('pack', fileTotals(tree.entries));
  return placeArchive(draft, tree, () => partsOf(tree.entries), { meter, signal });
}

describe('an archive that the native writer puts together', NATIVE, () => {
  test('has the same bytes as one that is read here', async () => {
    const tree = makeTree();
    const content = { path: '/added', type: 'file', size: 5, content: 'YWRkZWQ=' } as const;
    const common = { mode: '0644', uid: 0, gid: 0, mtime: '1.000000000', reasons: [] };
    const whole = { ...tree, entries: [{ ...common, ...content }, ...tree.entries] };
    for (const partsOf of [tarParts, cpioParts]) {
      const file = path.join(tempDir(), 'archive');
      const draft = draftFile(file);
      assert.equal(await place(whole, draft, partsOf), true);
      draft.commit();
      const expected: Buffer[] = [];
      for (const chunk of packed(whole, partsOf(whole.entries))) expected.push(Buffer.from(chunk));
      assert.ok(readFileSync(file).equals(Buffer.concat(expected)), partsOf.name);
      assert.equal(draft.size, lstatSync(file).size);
      const spared = draft.size - lstatSync(file).blocks * 512;
      assert.ok(spared > 7 * MIB, `${spared} bytes are holes`);
    }
  });

  test('reports each file, and the bytes of the archive', async () => {
    const tree = makeTree();
    const draft = draftFile(path.join(tempDir(), 'archive'));
    let done = { files: 0, bytes: 0 };
    let written = 0;
    const totals = fileTotals(tree.entries);
    const meter = new WorkMeter('pack', totals, ({ files, bytes }) => {
      done = { files, bytes };
    });
    const onProgress = (bytes: number) => {
      written += bytes;
    };
    await placeArchive(draft, tree, () => tarParts(tree.entries), { meter, onProgress });
    assert.deepEqual(done, totals);
    assert.equal(written, draft.size);
    draft.discard();
  });

  const changes: readonly {
    readonly name: string;
    readonly code: string;
    change(source: string): void;
  }[] = [
    {
      name: 'has grown',
      code: 'SOURCE_CHANGED',
      change: (source) => writeFileSync(`${source}/sub/file`, 'longer than it was'),
    },
    {
      name: 'has become a link',
      code: 'SOURCE_CHANGED',
      change(source) {
        rmSync(`${source}/sub/file`);
        symlinkSync(`${source}/other/file`, `${source}/sub/file`);
      },
    },
    {
      name: 'is behind a link that was a directory',
      code: 'SOURCE_CHANGED',
      change(source) {
        renameSync(`${source}/sub`, `${source}/moved`);
        symlinkSync('other', `${source}/sub`);
      },
    },
    {
      name: 'has become a fifo',
      code: 'SOURCE_CHANGED',
      change(source) {
        rmSync(`${source}/sub/file`);
        execFileSync('mkfifo', [`${source}/sub/file`]);
      },
    },
    {
      name: 'has gone',
      code: 'NOT_READABLE',
      change: (source) => rmSync(`${source}/sub/file`),
    },
  ];
  for (const { name, code, change } of changes) {
    test(`is not made if a source ${name}`, async () => {
      const source = tempDir();
      for (const directory of ['other', 'sub']) {
        mkdirSync(`${source}/${directory}`);
        writeFileSync(`${source}/${directory}/file`, `${directory}!!`.slice(0, 5));
      }
      const tree = treeOf(source);
      change(source);
      const out = tempDir();
      const draft = draftFile(path.join(out, 'archive'));
      await assert.rejects(place(tree, draft), { code, message: /^\/sub\/file: / });
      draft.discard();
      const [part] = [{ tree, options: { skipDigest: true } }] as const;
      const to = { kind: 'tar', path: `${out}/archive`, compression: 'none' } as const;
      await assert.rejects(exportParts([part], to), { code, message: /^\/sub\/file: / });
      assert.deepEqual(readdirSync(out), []);
    });
  }

  for (const compression of ['none', 'gzip'] as const) {
    test(`is not made of a source that is written to meanwhile: ${compression}`, async (t) => {
      const source = tempDir();
      writeFileSync(`${source}/file`, Buffer.alloc(64 * MIB));
      const writes = 'while :; do printf x; done 1<>"$0"';
      const writer = spawn('sh', ['-c', writes, `${source}/file`], { stdio: 'ignore' });
      t.after(() => writer.kill('SIGKILL'));
      const first = () => readFileSync(`${source}/file`).subarray(0, 1).toString();
      await until(() => first() === 'x', 'the file is written to');
      const out = tempDir();
      const part = { tree: treeOf(source), options: { skipDigest: true } };
      const to = { kind: 'tar', path: `${out}/archive`, compression } as const;
      await assert.rejects(exportParts([part], to), {
        code: 'SOURCE_CHANGED',
        message: /^\/file: /,
      });
      assert.deepEqual(readdirSync(out), []);
    });
  }

  test('is left to Node if digests of sources are to be compared', async () => {
    const tree = makeTree();
    const digest = `sha256:${'0'.repeat(64)}`;
    const entries = tree.entries.map((entry) =>
      entry.type === 'file' && entry.size === 513 ? { ...entry, digest } : entry,
    );
    const out = tempDir();
    const draft = draftFile(path.join(out, 'archive'));
    assert.equal(await place({ ...tree, entries }, draft), false);
    assert.equal(draft.size, 0);
    draft.discard();
    const part = { tree: { ...tree, entries }, options: { skipDigest: true } };
    const to = { kind: 'tar', path: `${out}/archive`, compression: 'none' } as const;
    await assert.rejects(exportParts([part], to), { code: 'SOURCE_CHANGED' });
  });

  test('does not go into a file that has taken the place of the draft', async () => {
    const tree = makeTree();
    const draft = draftFile(path.join(tempDir(), 'archive'));
    const victim = path.join(tempDir(), 'victim');
    writeFileSync(victim, 'untouched');
    for (const replace of [linkSync, symlinkSync]) {
      rmSync(draft.path);
      replace(victim, draft.path);
      assert.equal(await place(tree, draft), false);
      assert.equal(readFileSync(victim, 'utf8'), 'untouched');
    }
    draft.discard();
  });

  test('is removed if it is interrupted', async () => {
    const tree = makeTree();
    const out = tempDir();
    const controller = new AbortController();
    const reason = new Error('interrupted');
    const { signal } = controller;
    const onProgress = () => controller.abort(reason);
    const part = { tree, options: { skipDigest: true, signal, onProgress } };
    const to = { kind: 'tar', path: `${out}/archive`, compression: 'none' } as const;
    await assert.rejects(exportParts([part], to), reason);
    assert.deepEqual(readdirSync(out), []);
  });
});
