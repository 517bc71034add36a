import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exportTree } from '../../src/export/export.js';
import { runBuild } from '../../src/jail/build/pipeline.js';
import { addDigests } from '../../src/manifest/digest.js';
import type { WorkProgress } from '../../src/manifest/work.js';
import { fileTotals } from '../../src/manifest/work.js';
import { planRequest } from '../../src/plan/resolve-request.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Renders `workText`. */
const PROGRESS =
  /(Hashing|Writing|Packing): [\d,]+ of [\d,]+ files, [\d.]+ \S+ of [\d.]+ \S+ \(\d+ %\)/;

describe('progress of long work', needs('script', 'zstd'), () => {
  const directory = tempDir();
  const long = [
    ...[
      'export',
      '/bin/cat',
      '-i',
      `${directory}/blob:/blob`,
      '--to',
      `tar:${directory}/out.tar.zst`,
    ],
    ...['--compression', 'zstd', '--compression-level', '19'],
  ];

  before(() => {
    writeFileSync(path.join(directory, 'blob'), randomBytes(4 << 20));
  });

  function onTerminal(...args: readonly string[]): string {
    const words = [process.execPath, JAILBUILD, ...args].map((word) => `'${word}'`).join(' ');
    const { status, stdout } = exec('script', [
      '-qec',
      `stty rows 30 cols 100; ${words}`,
      '/dev/null',
    ]);
    assert.equal(status, 0, stdout);
    return stdout;
  }

  test('is shown on a terminal, and removed at the end', () => {
    const output = onTerminal(...long);
    assert.match(output, PROGRESS);
    const last = output.lastIndexOf('Packing: ');
    // The line is erased (ECMA-48, EL) before the result is printed, and the cursor is shown again.
    const after = output.slice(last);
    const [erased, shown] = [after.indexOf('\u001b[2K'), after.indexOf('\u001b[?25h')];
    assert.ok(erased > 0 && shown > erased, JSON.stringify(after));
    assert.ok(after.indexOf('Exported ') > shown, JSON.stringify(after));
  });

  test('is not shown in a pipe, nor for work shorter than a second', () => {
    const { status, stdout, stderr } = jailbuild(long);
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /Packing/);
    assert.ok(!stdout.includes('\u001b'));
    const quick = onTerminal('export', '/bin/true', '--to', `tar:${directory}/quick.tar`);
    assert.doesNotMatch(quick, PROGRESS);
  });
});

describe('reports of work', () => {
  const directory = tempDir();
  const request = { programs: ['/bin/ls', '/bin/cat'], terminfo: 'none' } as const;

  /** Checks that reports only increase, up to all files and bytes. */
  function checkReports(
    reports: readonly WorkProgress[],
    total: ReturnType<typeof fileTotals>,
  ): void {
    assert.ok(reports.length >= total.files);
    let [files, bytes] = [0, 0];
    for (const report of reports) {
      assert.deepEqual([report.totalFiles, report.totalBytes], [total.files, total.bytes]);
      assert.ok(report.files >= files && report.bytes >= bytes);
      [files, bytes] = [report.files, report.bytes];
    }
    assert.deepEqual([files, bytes], [total.files, total.bytes]);
  }

  test('count what is hashed and packed, in each format', async () => {
    const { manifest, closure } = await planRequest(request, false);
    const total = fileTotals(manifest.entries);
    assert.ok(total.files > 5);
    const hashed: WorkProgress[] = [];
    await addDigests(manifest, '', (report) => hashed.push(report));
    checkReports(hashed, total);
    const tree = { entries: manifest.entries, sourceRoot: closure.sysroot.prefix };
    for (const destination of [
      { kind: 'tar', path: path.join(directory, 'a.tar'), compression: 'none' },
      { kind: 'cpio', path: path.join(directory, 'a.cpio'), compression: 'gzip' },
      { kind: 'oci', path: path.join(directory, 'layout'), tag: 'a' },
      { kind: 'docker-archive', path: path.join(directory, 'b.tar') },
    ] as const) {
      const packed: WorkProgress[] = [];
      await exportTree(tree, destination, {
        layers: 'by-library',
        onWork: (report) => packed.push(report),
      });
      assert.ok(packed.every(({ kind }) => kind === 'pack'));
      checkReports(packed, total);
    }
  });

  test('count what a build hashes and writes', async () => {
    const reports: WorkProgress[] = [];
    const { planned } = await runBuild(
      {
        origin: { kind: 'request', request },
        target: path.join(directory, 'jail'),
        options: { digests: true, insecureParents: true, noSync: true },
      },
      { onWork: (report) => reports.push(report) },
    );
    const total = fileTotals(planned.manifest.entries);
    for (const kind of ['hash', 'write'] as const) {
      checkReports(
        reports.filter((report) => report.kind === kind),
        total,
      );
    }
  });
});
