import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { PROJECT } from '../support/cli.js';

const DOCUMENTS = [
  'README.md',
  ...readdirSync(path.join(PROJECT, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

/** Returns the anchors of the headings, as GitHub generates them. */
function anchors(file: string): Set<string> {
  const text = readFileSync(file, 'utf8').replace(/^```.*?^```$/gms, '');
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('links between documents have targets', () => {
  for (const name of DOCUMENTS) {
    test(name, () => {
      const text = readFileSync(path.join(PROJECT, name), 'utf8').replace(/^```.*?^```$/gms, '');
      const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => link)
        .filter((link) => !/^https?:/.test(link))
        .filter((link) => {
          const [file = '', anchor] = link.split('#');
          const target = path.resolve(PROJECT, path.dirname(name), file || path.basename(name));
          return !existsSync(target) || (anchor !== undefined && !anchors(target).has(anchor));
        });
      assert.deepEqual(broken, []);
    });
  }

  test('documents named in the text exist', () => {
    for (const name of DOCUMENTS) {
      const text = readFileSync(path.join(PROJECT, name), 'utf8');
      for (const [page] of text.matchAll(/\bdocs\/[\w-]+\.md\b/g))
        assert.ok(existsSync(path.join(PROJECT, page)), `${name}: ${page}`);
    }
  });

  test('source files named in architecture.md exist', () => {
    const text = readFileSync(path.join(PROJECT, 'docs/architecture.md'), 'utf8');
    const sources = readdirSync(path.join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' });
    const named = [...text.matchAll(/`([\w/-]+\.(?:ts|c|h))`/g)].map(([, file]) => file ?? '');
    const missing = named.filter(
      (file) =>
        !existsSync(path.join(PROJECT, file)) &&
        !sources.some((source) => `/${source}`.endsWith(`/${file}`)),
    );
    assert.ok(named.length > 20);
    assert.deepEqual(missing, []);
  });

  test('the index lists every document', () => {
    const index = readFileSync(path.join(PROJECT, 'docs/README.md'), 'utf8');
    const missing = readdirSync(path.join(PROJECT, 'docs'))
      .filter((file) => file.endsWith('.md') && file !== 'README.md')
      .filter((file) => !index.includes(`](${file})`));
    assert.deepEqual(missing, []);
  });
});
