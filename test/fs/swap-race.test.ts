import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { JailbuildError } from '../../src/errors.js';
import { scanTree } from '../../src/export/scan.js';
import { tar } from '../../src/export/tar.js';
import { isTrace, Sysroot } from '../../src/fs/sysroot.js';
import { JailView } from '../../src/jail/record/owned-entries.js';
import { addDigests } from '../../src/manifest/digest.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { takeInventory } from '../../src/sbom/inventory.js';
import { jailbuild } from '../support/cli.js';
import { needs } from '../support/need.js';
import { HARMLESS, HIDDEN_NAME, SECRET, SwapRace } from '../support/swap-race.js';
import { tempDir } from '../support/temp-dir.js';

/** Duration of each attempt, in milliseconds. */
const DURATION = 1500;
const LEAST = 5;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Repeats an attempt, reports how often it succeeded, and fails if a result ever shows the host.
 */
async function tryOften(
  t: TestContext,
  attempt: () => unknown,
  shows: (result: unknown) => string,
): Promise<void> {
  const end = Date.now() + DURATION;
  let whole = 0;
  let tries = 0;
  while (Date.now() < end || tries < LEAST) {
    tries++;
    try {
      const text = shows(await attempt());
      whole++;
      for (const sign of [SECRET, sha256(SECRET), HIDDEN_NAME]) {
        assert.ok(!text.includes(sign), 'the result shows the host');
      }
    } catch (error) {
      // Files that change meanwhile may be refused.
      if (!(error instanceof JailbuildError)) throw error;
      assert.match(error.code, /^(NOT_READABLE|SOURCE_CHANGED)$/);
    }
  }
  t.diagnostic(`${whole} of ${tries} came through`);
}

describe('a directory that is swapped for a link', needs('cc'), () => {
  const race = beginRace(0o777);
  readsOf(race);
  sourcesOf(race);
});

/** All directories belong to root, and root inside the jail is root. */
describe('a directory of a jail that the jail itself swaps for a link', needs('cc'), () => {
  readsOf(beginRace(0o755));
});

function beginRace(mode: number): SwapRace {
  const races: SwapRace[] = [];
  // Registered first, so that the race ends before its directory is removed.
  after(() => Promise.all(races.map((race) => race.end())));
  const race = new SwapRace(tempDir(), mode);
  races.push(race);
  before(() => race.begin());
  return race;
}

/** Tests the functions that read a tree, which may be a jail. */
function readsOf(race: SwapRace): void {
  const scan = () => scanTree(race.root, { leaveOut: [] });
  /** The undisturbed tree. */
  const entries: readonly Entry[] = scan().entries;
  const tree = { entries, sourceRoot: race.root };

  test('does not leak into the export of a scanned jail', async (t) => {
    await tryOften(
      t,
      () => Buffer.concat([...tar(scan())].map((chunk) => Buffer.from(chunk))),
      (bytes) => (bytes as Buffer).toString('latin1'),
    );
  });

  test('does not leak names into a scan', async (t) => {
    await tryOften(t, scan, (found) => JSON.stringify(found));
  });

  test('does not leak into the export of planned files', async (t) => {
    await tryOften(
      t,
      () => Buffer.concat([...tar(tree)].map((chunk) => Buffer.from(chunk))),
      (bytes) => (bytes as Buffer).toString('latin1'),
    );
  });

  test('does not leak into digests', async (t) => {
    const manifest = { entries } as Parameters<typeof addDigests>[0];
    await tryOften(
      t,
      () => addDigests(manifest, race.root),
      (found) => JSON.stringify(found),
    );
  });

  test('does not leak into a bill of materials', async (t) => {
    await tryOften(
      t,
      () => takeInventory(tree, new Sysroot(race.root), () => undefined),
      (found) => JSON.stringify((found as { files: unknown }).files),
    );
  });

  test('is not followed by a look-up in a sysroot', async (t) => {
    await tryOften(
      t,
      () => {
        // Here the link leads nowhere, so that only a swap can show the outside.
        const sysroot = new Sysroot(race.root);
        const found = sysroot.trace(`${race.inside}/deeper/f1`);
        return isTrace(found) ? sysroot.readText(found) : '';
      },
      (text) => text as string,
    );
  });

  test('does not leak into the view of a jail', async (t) => {
    const paths = entries.map(({ path: at }) => at);
    await tryOften(
      t,
      () => {
        const view = new JailView(race.root, false);
        const names = view.names(`${race.inside}/deeper`) ?? [];
        return [...names, ...paths.map((at) => view.lstat(at)?.mode.toString(8))];
      },
      // Only the files outside have this mode.
      (found) => String(found).replaceAll('100600', SECRET),
    );
  });
}

/** Tests the commands that read sources on the host. */
function sourcesOf(race: SwapRace): void {
  const commands: Readonly<Record<string, readonly string[]>> = {
    'a dry run': ['jail', 'true', '--dry-run', '--format', 'json'],
    'a dry run with a bill of materials': ['jail', 'true', '--dry-run', '--sbom', 'spdx'],
    'an export': ['export', 'true', '--to', 'tar:-'],
  };
  for (const [name, words] of Object.entries(commands)) {
    test(`${name} of an included directory does not leak the outside`, async (t) => {
      const include = ['--include', path.join(race.root, race.inside)];
      await tryOften(
        t,
        () => jailbuild([...words, ...include], { cwd: path.dirname(race.root) }),
        (finished) => (finished as { stdout: string }).stdout,
      );
    });
  }

  test('a build with an included directory does not leak the outside', async (t) => {
    const jail = path.join(path.dirname(race.root), 'jail');
    const include = `${race.root}${race.inside}:/included`;
    await tryOften(
      t,
      () => {
        jailbuild([jail, 'true', '--include', include, '--no-sync']);
        return below(jail);
      },
      (text) => text as string,
    );
  });
}

/** Returns the content of all files below a directory. */
function below(directory: string): string {
  try {
    return readdirSync(path.join(directory, 'included'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(path.join(entry.parentPath ?? entry.path, entry.name), 'utf8'))
      .join('');
  } catch {
    return HARMLESS;
  }
}
