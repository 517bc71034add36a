import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { directory, file, type Given, hardlink, layer, symlink } from './support.js';

/** Makes an image of these layers with umoci. */
function image(base: string, layers: readonly (readonly Given[])[]): string {
  const layout = path.join(base, 'layout');
  succeed('umoci', ['init', '--layout', layout]);
  succeed('umoci', ['new', '--image', `${layout}:x`]);
  for (const [number, members] of layers.entries()) {
    const archive = path.join(base, `layer-${number}.tar`);
    writeFileSync(archive, layer(...members));
    succeed('umoci', ['raw', 'add-layer', '--image', `${layout}:x`, archive]);
  }
  return `oci:${layout}:x`;
}

/** Returns every file in a directory, with its type, target, link count and content. */
function listed(root: string): string {
  const script =
    'cd "$1" && find . -mindepth 1 -printf "%p %y %l %n\\n" | sed "/ d /s/ [0-9]*$//" | sort; find . -type f -exec sha256sum {} + | sort';
  return succeed('sh', ['-c', script, 'sh', root]);
}

/** Unpacks an image by using it as a sysroot for a program that does not exist. */
function unpack(reference: string, base: string) {
  const env = { ...process.env, XDG_CACHE_HOME: path.join(base, 'cache') };
  const { stderr } = jailbuild([path.join(base, 'jail'), 'none', '--sysroot', reference], { env });
  const cache = path.join(base, 'cache/jailbuild/images');
  const [name] = readdirSync(cache);
  return { stderr, root: name === undefined ? undefined : path.join(cache, name, 'root') };
}

const TRICKY: Readonly<Record<string, readonly (readonly Given[])[]>> = {
  'whiteouts of missing files': [
    [directory('a'), file('a/x')],
    [file('a/.wh.nothing', ''), file('.wh.none', ''), file('b')],
  ],
  'whiteouts of files, directories and links': [
    [directory('a'), file('a/x'), directory('a/d'), file('a/d/y'), symlink('a/l', 'x')],
    [file('a/.wh.x', ''), file('a/.wh.d', ''), file('a/.wh.l', ''), file('a/new')],
  ],
  'an opaque directory': [
    [directory('a'), file('a/x'), directory('a/d'), file('a/d/y')],
    [directory('a'), file('a/.wh..wh..opq', ''), file('a/z')],
  ],
  'members with the same name': [
    [file('x', 'first'), file('x', 'second'), directory('d'), file('d/y')],
    [file('d', 'was a directory')],
  ],
  'hard links, and one to a file of another layer': [
    [file('x', 'content'), hardlink('y', 'x'), hardlink('z', 'y')],
    [file('x', 'changed')],
  ],
  'a link to a directory in the path': [
    [directory('real'), symlink('link', 'real'), file('link/inside')],
    [file('link/more')],
  ],
  'a link that leads above the root': [[symlink('up', '../../../..'), file('up/inside')]],
};

describe('layers are applied as umoci does', needsRoot('umoci', 'find', 'sha256sum'), () => {
  for (const [name, layers] of Object.entries(TRICKY)) {
    test(name, () => {
      const base = tempDir();
      const reference = image(base, layers);
      const { root, stderr } = unpack(reference, base);
      assert.ok(root !== undefined, stderr);
      const bundle = path.join(base, 'bundle');
      succeed('umoci', ['unpack', '--image', reference.slice('oci:'.length), bundle]);
      assert.equal(listed(root), listed(path.join(bundle, 'rootfs')));
    });
  }
});

describe('layers that lead outside are refused in one line', needs('umoci'), () => {
  const hostile: readonly [string, readonly Given[], RegExp][] = [
    ['names with ..', [file('../outside')], /leaves the root/],
    ['hard links to the outside', [hardlink('x', '../../etc/passwd')], /leaves the root/],
    [
      'hard links to files that only the host has',
      [hardlink('x', '/etc/passwd')],
      /which does not exist/,
    ],
    [
      'loops of links',
      [symlink('a', 'b'), symlink('b', 'a'), file('a/x')],
      /too many symbolic links/,
    ],
    ['whiteouts of ..', [file('.wh...', '')], /not a valid whiteout/],
  ];
  for (const [name, members, message] of hostile) {
    test(name, () => {
      const base = tempDir();
      mkdirSync(path.join(base, 'outside'));
      const { stderr, root } = unpack(image(base, [members]), base);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.equal(root, undefined);
      assert.deepEqual(readdirSync(path.join(base, 'outside')), []);
    });
  }
});
