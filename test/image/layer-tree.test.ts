import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader } from '../../src/image/byte-reader.js';
import { type ImageNode, LayerTree } from '../../src/image/layer-tree.js';
import { directory, file, type Given, hardlink, layer, symlink } from './support.js';

async function apply(layers: readonly Buffer[], limits = { entries: 1000, bytes: 1 << 20 }) {
  const contents = new Map<number, string>();
  const tree = new LayerTree(
    {
      async put(content) {
        const parts: Buffer[] = [];
        for await (const part of content) parts.push(part);
        contents.set(contents.size + 1, Buffer.concat(parts).toString());
        return contents.size;
      },
      drop: (stored) => void contents.set(stored, 'dropped'),
    },
    limits,
  );
  for (const bytes of layers) {
    await tree.apply(
      new ByteReader(
        (async function* () {
          yield bytes;
        })(),
      ),
      'layer',
    );
  }
  const found: Record<string, string> = {};
  const visit = (node: ImageNode, at: string): void => {
    for (const [name, child] of node.children ?? []) {
      const content = child.content === undefined ? undefined : contents.get(child.content.stored);
      found[`${at}/${name}`] = child.children
        ? 'directory'
        : (child.target ?? content ?? child.header.type);
      visit(child, `${at}/${name}`);
    }
  };
  visit(tree.root, '');
  return found;
}

test('whiteouts hide entries of lower layers, and none of their own', async () => {
  const found = await apply([
    layer(directory('d'), file('d/old'), file('gone'), directory('o'), file('o/old'), file('kept')),
    layer(
      file('d/new'),
      { name: '.wh.gone', type: 'file' },
      file('o/new'),
      { name: 'o/.wh..wh..opq', type: 'file' },
      { name: '.wh.d', type: 'file' },
      { name: '.wh..wh.plnk', type: 'directory' },
    ),
  ]);
  assert.deepEqual(found, {
    '/d': 'directory',
    '/d/new': 'd/new',
    '/o': 'directory',
    '/o/new': 'o/new',
    '/kept': 'kept',
  });
});

test("links in a member's path are resolved inside the root", async () => {
  const found = await apply([
    layer(
      directory('usr'),
      directory('usr/lib'),
      symlink('lib', 'usr/lib'),
      symlink('etc', '/../../usr'),
    ),
    layer(
      file('lib/x'),
      file('etc/y'),
      hardlink('z', 'lib/x'),
      symlink('up', '../../../..'),
      file('up/w'),
    ),
  ]);
  assert.equal(found['/usr/lib/x'], 'lib/x');
  assert.equal(found['/usr/y'], 'etc/y');
  assert.equal(found['/z'], 'lib/x');
  assert.equal(found['/w'], 'up/w');
  assert.equal(found['/lib'], 'usr/lib');
});

test('the last of several members with the same name counts, and unreferenced content is dropped', async () => {
  const found = await apply([
    layer(file('a', 'one'), file('a', 'two'), hardlink('b', 'a'), file('a', 'three')),
  ]);
  assert.deepEqual(found, { '/b': 'two', '/a': 'three' });
});

test('names that are not UTF-8 stay distinct', async () => {
  const found = await apply(
    [layer(file('x'), file('y'))].map((bytes) => {
      bytes[0] = 0xff;
      bytes.write('        ', 148, 'latin1');
      const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      return bytes;
    }),
  );
  assert.deepEqual(Object.keys(found), ['/\udcff', '/y']);
});

const HOSTILE: readonly (readonly [RegExp, ...Given[]])[] = [
  [/leaves the root/, file('../x')],
  [/leaves the root/, file('a/../../x')],
  [/leaves the root/, hardlink('x', '../../etc/passwd')],
  [/does not exist/, hardlink('x', '/etc/passwd')],
  [/too many symbolic links/, symlink('a', 'b'), symlink('b', 'a'), file('a/x')],
  [/name that is too long/, file('n'.repeat(300))],
  [/path that is too long/, file(`${'d/'.repeat(3000)}x`)],
  [/not a valid whiteout/, file('.wh...')],
  [/larger than 1048576 bytes/, file('big', 'x'.repeat(1_048_577))],
];

for (const [message, ...members] of HOSTILE) {
  test(`a layer is refused: ${message.source}, ${members.at(-1)?.name.slice(0, 20)}`, async () => {
    await assert.rejects(apply([layer(...members)]), { code: 'IMAGE_INVALID', message });
  });
}

test('layers with too many entries and damaged layers are refused', async () => {
  const many = Array.from({ length: 12 }, (_, index) => file(String(index)));
  const limits = { entries: 10, bytes: 1 << 20 };
  await assert.rejects(apply([layer(...many)], limits), {
    code: 'IMAGE_INVALID',
    message: /limit of 10/,
  });
  const whole = layer(file('a', 'content'));
  await assert.rejects(apply([whole.subarray(0, 515)]), {
    code: 'IMAGE_INVALID',
    message: /truncated/,
  });
  await assert.rejects(apply([Buffer.alloc(1024, 'x')]), {
    code: 'IMAGE_INVALID',
    message: /not a tar/,
  });
});
