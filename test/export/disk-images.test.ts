import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { parseDestination } from '../../src/export/destination.js';
import { exportTree } from '../../src/export/export.js';
import type { FileTree } from '../../src/export/file-tree.js';
import type { Entry } from '../../src/manifest/manifest.js';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { richTree, sha256 } from './support.js';

const FORMS = {
  squashfs: { program: 'tar2sqfs', precise: false },
  erofs: { program: 'mkfs.erofs', precise: true },
  ext4: { program: '/usr/sbin/debugfs', precise: true },
} as const;
type Form = keyof typeof FORMS;

/** Prints a tree on the disk line by line; sizes of directories depend on the file system. */
const DESCRIBE = [
  "find . -mindepth 1 -not -name lost+found -not -type d -printf '%p %y %m %U:%G %T@ %s %n %l\\n'",
  "find . -mindepth 1 -not -name lost+found -type d -printf '%p %y %m %U:%G %T@ %l\\n'",
  "find . -type c -o -type b | xargs -r stat -c '%n %t:%T'",
  'find . -type f -print0 | xargs -0 sha256sum',
  "getfattr -R -h -d -m '^(user|security)' -e hex . 2>/dev/null",
].join('; ');

function describeMounted(image: string, form: Form): string[] {
  const at = path.join(path.dirname(image), `at-${form}`);
  mkdirSync(at, { recursive: true });
  const mount = 'mount -o loop,ro -t "$1" "$2" "$3" && cd "$3"';
  const script = `export LC_ALL=C.UTF-8; ${mount} && { stat -c "root %a %u:%g" .; ${DESCRIBE}; }`;
  return lines(succeed('unshare', ['-m', 'sh', '-c', script, 'sh', form, image, at]), form);
}

function lines(text: string, form: Form): string[] {
  const whole = (line: string) => line.replace(/(\d+)\.\d{10}/g, (_, s) => s);
  const found = text.split('\n').map(FORMS[form].precise ? (line) => line : whole);
  return found.filter((line) => line !== '').sort();
}

/** Returns the same tree as unpacked by tar. */
function describeUnpacked(tree: FileTree, directory: string, form: Form): Promise<string[]> {
  const file = path.join(directory, 'tree.tar');
  const root = path.join(directory, `unpacked-${form}`);
  mkdirSync(root);
  chmodSync(root, 0o755);
  return exportTree(tree, { kind: 'tar', path: file, compression: 'none' }).then(() => {
    const keep = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
    succeed('tar', ['-xpf', file, '-C', root, ...keep]);
    const script = `export LC_ALL=C.UTF-8; cd "$1"; stat -c "root %a %u:%g" .; ${DESCRIBE}`;
    return lines(succeed('sh', ['-c', script, 'sh', root]), form);
  });
}

/** Additional names that a command line could misread. */
function hardTree(directory: string): FileTree {
  const tree = richTree(directory);
  const common = { mode: '0640', uid: 7, gid: 9, mtime: '1500000000.000000000', reasons: [] };
  const content = Buffer.from('odd\n').toString('base64');
  const odd = [
    '/a "quoted" name',
    '/-F',
    '/#comment',
    "/it's \\ $HOME",
    '/<12>',
    '/raw\udcff',
    '/many',
  ];
  const made = odd.map(
    (at): Entry =>
      at === '/many'
        ? { type: 'directory', path: at, ...common }
        : { type: 'file', path: at, size: 4, content, ...common },
  );
  // More names than fit into one block of a directory, links among them.
  for (let number = 0; number < 300; number++) {
    const at = `/many/${'n'.repeat(100)}${String(number).padStart(4, '0')}`;
    const first = `/many/${'n'.repeat(100)}0000`;
    const link = number % 2 === 1 ? { hardlink: first } : {};
    const own = number % 2 === 1 || number === 0 ? content : Buffer.from('more').toString('base64');
    made.push({ type: 'file', path: at, size: 4, content: own, ...link, ...common });
  }
  const entries = [...tree.entries, ...made].sort((a, b) =>
    Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
  );
  return { ...tree, entries };
}

for (const [name, { program }] of Object.entries(FORMS)) {
  const form = name as Form;
  describe(form, () => {
    test(
      'the kernel mounts the image, with every entry type',
      needsRoot(program, 'unshare', 'mount', 'getfattr'),
      async () => {
        const directory = tempDir();
        const tree = hardTree(path.join(directory, 'source'));
        const image = path.join(directory, 'image.raw');
        const result = await exportTree(tree, { kind: form, path: image });
        assert.equal(result.digest, `sha256:${sha256(image)}`);
        const expected = await describeUnpacked(tree, directory, form);
        assert.ok(expected.length > 600, String(expected.length));
        assert.deepEqual(describeMounted(image, form), expected);
      },
    );

    test('equal files give equal bytes, and other files another UUID', needs(program), async () => {
      const directory = tempDir();
      const digests: string[] = [];
      for (const one of ['a', 'b', 'c']) {
        const tree = richTree(path.join(directory, one));
        const entries = tree.entries.filter(
          ({ type, xattrs, uid, gid }) => !type.includes('device') && !xattrs && !uid && !gid,
        );
        const content = Buffer.from(`ping${one === 'c' ? '!' : '\n'}`).toString('base64');
        const changed = entries.map((entry) =>
          entry.path === '/precise' ? ({ ...entry, content, size: 5 } as Entry) : entry,
        );
        const file = path.join(directory, `${one}.raw`);
        const { digest } = await exportTree(
          { ...tree, entries: changed },
          { kind: form, path: file },
        );
        digests.push(digest);
      }
      assert.equal(digests[0], digests[1]);
      assert.notEqual(digests[0], digests[2]);
    });
  });
}

test(
  'a user other than root can store owners, devices and capabilities',
  needsRoot('tar2sqfs', '/usr/sbin/debugfs', 'setpriv', 'unshare', 'mount'),
  () => {
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    assert.equal(jailbuild([jail, 'cat', '--include', '/bin/true:/bin/ping-like', '-q']).status, 0);
    mkdirSync(`${jail}/dev`);
    succeed('mknod', [`${jail}/dev/null`, 'c', '1', '3']);
    succeed('setcap', ['cap_net_raw+ep', `${jail}/bin/ping-like`]);
    chownSync(`${jail}/dev`, 12, 34);
    // Only its owner may read it.
    rmSync(`${jail}/.jailbuild`, { recursive: true });
    const out = path.join(directory, 'out');
    mkdirSync(out);
    chownSync(out, 65534, 65534);
    for (const form of ['squashfs', 'ext4'] as const) {
      const images = ['root', 'user'].map((who) => `${out}/${who}.${form}`) as [string, string];
      const args = (image: string) => ['export', jail, '--to', `${form}:${image}`, '-q'];
      assert.equal(jailbuild(args(images[0])).status, 0);
      const as = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, JAILBUILD];
      succeed('setpriv', [...as, ...args(images[1])], {
        env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' },
      });
      assert.equal(sha256(images[0]), sha256(images[1]));
      const described = describeMounted(images[1], form).join('\n');
      assert.match(described, /^\.\/dev d 755 12:34 /m);
      assert.match(described, /^\.\/dev\/null c 644 0:0 /m);
      assert.match(described, /^\.\/dev\/null 1:3$/m);
      assert.match(described, /^security\.capability=0x01000002002000/m);
    }
  },
);

test(
  'a relative destination is in the working directory',
  needs('tar2sqfs', 'mkfs.erofs', '/usr/sbin/debugfs'),
  () => {
    const cwd = tempDir();
    for (const form of Object.keys(FORMS)) {
      succeed(
        process.execPath,
        [JAILBUILD, 'export', 'cat', '-q', '--to', `${form}:image.${form}`],
        { cwd },
      );
    }
    const sizes = readdirSync(cwd).map((name) => [
      name,
      statSync(path.join(cwd, name)).size > 100_000,
    ]);
    assert.deepEqual(sizes.sort(), [
      ['image.erofs', true],
      ['image.ext4', true],
      ['image.squashfs', true],
    ]);
  },
);

test('veritysetup agrees with the hash tree', needs('tar2sqfs', '/usr/sbin/veritysetup'), () => {
  const directory = tempDir();
  const image = path.join(directory, 'app.raw');
  const args = ['export', 'cat', '--to', `squashfs:${image}`, '--verity'];
  const { status, stdout, stderr } = jailbuild(args);
  assert.equal(status, 0, stderr);
  const hash = /^Root hash ([0-9a-f]{64})$/m.exec(stdout)?.[1] ?? '';
  assert.equal(readFileSync(`${directory}/app.roothash`, 'utf8'), `${hash}\n`);
  const verify = () =>
    exec('/usr/sbin/veritysetup', ['verify', image, `${directory}/app.verity`, hash]);
  assert.equal(verify().status, 0, verify().stderr);
  const again = path.join(directory, 'again.img');
  const json = JSON.parse(
    jailbuild(['export', 'cat', '--to', `squashfs:${again}`, '--verity', '--json']).stdout,
  );
  assert.deepEqual(json.verity, { path: `${again}.verity`, rootHash: hash });
  assert.equal(sha256(`${again}.verity`), sha256(`${directory}/app.verity`));
  const bytes = readFileSync(image);
  bytes[5000] = (bytes[5000] ?? 0) ^ 1;
  writeFileSync(image, bytes);
  assert.notEqual(verify().status, 0);
});

test(
  'an ext4 image has the requested size, or slightly more than needed',
  needs('/usr/sbin/debugfs'),
  () => {
    const directory = tempDir();
    const image = path.join(directory, 'image');
    assert.equal(jailbuild(['export', 'cat', '--to', `ext4:${image}:40M`, '-q']).status, 0);
    assert.equal(readFileSync(image).length, 40 << 20);
    succeed('/usr/sbin/e2fsck', ['-fn', image]);
    const before = sha256(image);
    for (const size of ['4M', '9M']) {
      fails(
        'NOT_EXPORTABLE',
        /^ext4: the tree does not fit [49]\.0 MiB: give \d+\.0 MiB or more, or no size$/,
        ['export', 'bash', 'git', '--to', `ext4:${image}:${size}`, '-q'],
      );
    }
    assert.equal(sha256(image), before, 'an image was written');
    assert.deepEqual(readdirSync(directory), ['image']);
  },
);

test(
  'content that cannot be written is refused in one line',
  needs('/usr/sbin/debugfs'),
  async () => {
    const directory = tempDir();
    const common = { mode: '0644', uid: 0, gid: 0, mtime: '0.000000000', reasons: [] };
    const named = (at: string): FileTree => ({
      sourceRoot: '',
      entries: [{ type: 'symlink', path: at, target: 'x', ...common }],
    });
    const to = { kind: 'ext4', path: path.join(directory, 'image') } as const;
    await assert.rejects(exportTree(named('/a\nb'), to), { code: 'NOT_EXPORTABLE' });
    await assert.rejects(exportTree(named('/a'), { ...to, path: '-' }), { code: 'USAGE' });
    assert.equal(existsSync(to.path), false);
    const refused = (args: readonly string[], message: RegExp) =>
      fails('USAGE', message, ['export', 'cat', ...args]);
    refused(['--to', 'tar:x.tar', '--verity'], /--verity applies to disk images, not to tar/);
    refused(['--to', `ext4:${to.path}`, '--compression', 'zstd'], /ext4: has no compression/);
    refused(['--to', `ext4:${to.path}:12Q`], /12Q is not a size, such as 512M/);
    refused(
      ['--to', `squashfs:${to.path}`, '--user', '1'],
      /--user applies to images, not to squashfs/,
    );
    const env = { ...process.env, PATH: path.dirname(process.execPath) };
    if (!existsSync(path.join(path.dirname(process.execPath), 'tar2sqfs'))) {
      const words = ['export', '/bin/cat', '--to', `squashfs:${to.path}`];
      fails('TOOL_MISSING', /tar2sqfs: not found: install the package squashfs-tools-ng/, words, {
        env,
      });
    }
  },
);

test('destinations of disk images are checked', () => {
  assert.deepEqual(parseDestination('ext4:a/b:2G'), { kind: 'ext4', path: 'a/b', size: 2 ** 31 });
  assert.deepEqual(parseDestination('ext4:a'), { kind: 'ext4', path: 'a' });
  assert.deepEqual(parseDestination('erofs:a:b'), { kind: 'erofs', path: 'a:b' });
  assert.deepEqual(parseDestination('ext4:a\\:b:2G'), { kind: 'ext4', path: 'a:b', size: 2 ** 31 });
  assert.throws(() => parseDestination('squashfs:'), { code: 'USAGE' });
});
