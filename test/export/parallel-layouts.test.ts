import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { JAILBUILD } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const COUNT = 8;
const numbers = Array.from({ length: COUNT }, (_, index) => index + 1);
const run = promisify(execFile);

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly variant?: string };
}

/** Runs exports concurrently, and returns the reported digests. */
async function exportAll(lines: readonly (readonly string[])[]): Promise<readonly string[]> {
  const all = lines.map(async (line) => {
    const { stdout } = await run(JAILBUILD, ['export', 'true', '--json', ...line]);
    return JSON.parse(stdout).digest as string;
  });
  return Promise.all(all);
}

function blob(layout: string, digest: string): Buffer {
  const bytes = readFileSync(path.join(layout, 'blobs', digest.replace(':', '/')));
  assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest);
  return bytes;
}

function imagesOf(layout: string): readonly Descriptor[] {
  return JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')).manifests;
}

/** Checks that no temporary files are left in the layout or beside it. */
function assertClean(layout: string): void {
  assert.deepEqual(readdirSync(layout).sort(), ['blobs', 'index.json', 'oci-layout']);
  const drafts = readdirSync(directory).filter((name) => name.startsWith('.jailbuild-'));
  assert.deepEqual(drafts, []);
}

for (const [name, isNew] of [
  ['new', true],
  ['known', false],
] as const) {
  test(`concurrent exports into a ${name} layout lose no tag`, needs('/bin/true'), async () => {
    const layout = path.join(directory, name);
    if (!isNew) await exportAll([['--to', `oci:${layout}:first`]]);
    const to = (tag: number) => ['--to', `oci:${layout}:t${tag}`, '--label', `tag=${tag}`];
    const digests = await exportAll(numbers.map(to));
    const tagged = new Map(
      imagesOf(layout).map(({ digest, annotations }) => [
        annotations?.['org.opencontainers.image.ref.name'],
        digest,
      ]),
    );
    assert.equal(tagged.size, isNew ? COUNT : COUNT + 1);
    for (const [index, digest] of digests.entries()) {
      assert.equal(tagged.get(`t${index + 1}`), digest);
      const { config, layers } = JSON.parse(blob(layout, digest).toString());
      const labels = JSON.parse(blob(layout, config.digest).toString()).config.Labels;
      assert.equal(labels.tag, String(index + 1));
      for (const layer of layers) blob(layout, layer.digest);
    }
    assertClean(layout);
  });
}

test('concurrent exports that append to one tag lose no platform', needs('/bin/true'), async () => {
  const layout = path.join(directory, 'appended');
  await exportAll(
    numbers.map((variant) => [
      ...['--to', `oci:${layout}:multi`, '--append'],
      ...['--platform', `linux/amd64/x${variant}`],
    ]),
  );
  const [only, ...others] = imagesOf(layout);
  assert.deepEqual(others, []);
  const index = JSON.parse(blob(layout, only?.digest ?? '').toString());
  const variants = index.manifests.map(({ platform }: Descriptor) => platform?.variant).sort();
  assert.deepEqual(
    variants,
    numbers.map((variant) => `x${variant}`),
  );
  for (const { digest } of index.manifests)
    assert.ok(existsSync(path.join(layout, 'blobs', digest.replace(':', '/'))));
  assertClean(layout);
});
