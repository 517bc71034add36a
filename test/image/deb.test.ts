import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { directory, file, type Given, layer, symlink } from './support.js';

/** Returns an ar archive with these members (ar(5)). */
function ar(members: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(members).flatMap(([name, bytes]) => [
    Buffer.from(
      `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`,
    ),
    bytes,
    Buffer.from(bytes.length % 2 === 1 ? '\n' : ''),
  ]);
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts]);
}

const CONTROL =
  'Package: evil\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: evil\n';

function deb(data: readonly Given[], control = CONTROL): Buffer {
  return ar({
    'debian-binary': Buffer.from('2.0\n'),
    'control.tar.gz': gzipSync(layer(file('./control', control))),
    'data.tar.gz': gzipSync(layer(...data)),
  });
}

/** Makes a package of host files with dpkg-deb. */
function build(
  out: string,
  {
    name,
    version = '1.0',
    files,
    depends,
    compression,
  }: {
    readonly name: string;
    readonly version?: string;
    readonly files: readonly string[];
    readonly depends?: string;
    readonly compression: string;
  },
): void {
  const tree = path.join(path.dirname(out), `tree-${name}-${version}`);
  mkdirSync(`${tree}/DEBIAN`, { recursive: true });
  const fields = [
    ...[`Package: ${name}`, `Version: ${version}`, 'Architecture: amd64', 'Multi-Arch: same'],
    ...(depends === undefined ? [] : [`Depends: ${depends}`]),
    ...['Maintainer: Some One <some@one.example>', `Description: ${name}`, ' of a test'],
  ];
  writeFileSync(`${tree}/DEBIAN/control`, `${fields.join('\n')}\n`);
  const sums = files.map((at) => {
    mkdirSync(path.dirname(tree + at), { recursive: true });
    cpSync(realpathSync(at), tree + at);
    return `${createHash('md5')
      .update(readFileSync(tree + at))
      .digest('hex')}  ${at.slice(1)}\n`;
  });
  writeFileSync(`${tree}/DEBIAN/md5sums`, sums.join(''));
  // Would exist if the maintainer script had run.
  writeFileSync(`${tree}/DEBIAN/postinst`, '#!/bin/sh\ntouch /tmp/jailbuild-postinst-ran\n', {
    mode: 0o755,
  });
  mkdirSync(out, { recursive: true });
  succeed('dpkg-deb', [
    '--root-owner-group',
    `-Z${compression}`,
    '-b',
    tree,
    `${out}/${name}_${version}.deb`,
  ]);
}

/** The libraries that /bin/cat needs, with the paths of Debian packages before the merged /usr. */
function librariesOfCat(): string[] {
  const listed = execFileSync('ldd', ['/bin/cat']).toString();
  return [...listed.matchAll(/(?:=> )?(\/\S+)/g)].map(([, at]) => (at ?? '').replace(/^\/usr/, ''));
}

describe(
  'a directory of packages',
  needsRoot('dpkg-deb', 'dpkg-query', 'xz', 'zstd', 'ldd', 'chroot'),
  () => {
    const base = tempDir();
    const env = { ...process.env, XDG_CACHE_HOME: path.join(base, 'cache') };
    const debs = path.join(base, 'debs');
    build(debs, { name: 'libs', files: librariesOfCat(), compression: 'xz' });
    build(debs, {
      name: 'tool',
      files: ['/bin/cat', '/etc/host.conf'],
      depends: 'libs',
      compression: 'zstd',
    });
    build(debs, { name: 'more', files: ['/etc/passwd'], compression: 'gzip' });

    for (const sysroot of [`deb:${debs}`, debs]) {
      test(`${sysroot.replace(debs, 'DIR')} is a sysroot`, () => {
        const jail = path.join(base, `jail-${sysroot.length}`);
        const { status, stderr } = jailbuild([jail, 'cat', '--sysroot', sysroot, '-q'], { env });
        assert.equal(status, 0, stderr);
        writeFileSync(`${jail}/x`, 'it runs\n');
        assert.equal(succeed('chroot', [jail, '/bin/cat', '/x']), 'it runs\n');
        assert.equal(existsSync('/tmp/jailbuild-postinst-ran'), false);
      });
    }

    test('provides a dpkg database to dpkg, --package and inventories', () => {
      const cache = path.join(base, 'cache/jailbuild/images');
      const root = path.join(cache, readdirSync(cache)[0] ?? '', 'root');
      const admin = `--admindir=${root}/var/lib/dpkg`;
      const list = [
        '-W',
        `-f=${['Package', 'Version', 'Status'].map((name) => `\${${name}}`).join(' ')}\\n`,
      ];
      assert.equal(
        succeed('dpkg-query', [admin, ...list]),
        'libs 1.0 install ok installed\nmore 1.0 install ok installed\ntool 1.0 install ok installed\n',
      );
      assert.equal(succeed('dpkg-query', [admin, '-S', '/bin/cat']), 'tool:amd64: /bin/cat\n');
      assert.equal(exec('dpkg', [`--root=${root}`, '--verify']).stdout, '');
      const sbom = path.join(base, 'sbom.json');
      const args = [
        'export',
        'cat',
        '--package',
        'tool',
        '--sysroot',
        debs,
        '--to',
        `tar:${base}/x.tar`,
      ];
      const { status, stderr } = jailbuild(
        [...args, '--sbom', 'cyclonedx', '--sbom-file', sbom, '-q'],
        { env },
      );
      assert.equal(status, 0, stderr);
      const { components } = JSON.parse(readFileSync(sbom, 'utf8'));
      const named = components.flatMap(({ purl, name }: { purl?: string; name: string }) =>
        purl ? [name] : [],
      );
      assert.deepEqual(named.sort(), ['libs', 'tool']);
      assert.match(succeed('tar', ['-tf', `${base}/x.tar`]), /etc\/host.conf/);
    });

    test('with two versions of a package is refused', () => {
      const both = path.join(base, 'both');
      build(both, { name: 'tool', files: ['/bin/cat'], compression: 'gzip' });
      build(both, { name: 'tool', version: '2.0', files: ['/bin/cat'], compression: 'gzip' });
      fails(
        'IMAGE_INVALID',
        /tool_2\.0\.deb: is tool 2\.0, and tool_1\.0\.deb is 1\.0: remove one$/,
        [`${base}/no`, 'cat', '--sysroot', `deb:${both}`],
        {
          env,
        },
      );
    });
  },
);

test('names and links in a package do not lead outside of the root', needs('gzip'), () => {
  const base = tempDir();
  const env = { ...process.env, XDG_CACHE_HOME: path.join(base, 'cache') };
  const outside = path.join(base, 'outside');
  mkdirSync(outside);
  const refused: readonly [string, Buffer, RegExp][] = [
    ['dots', deb([file('./../../outside/x')]), /leaves the root through \.\./],
    ['hard', deb([{ name: 'x', type: 'hardlink', linkname: '../outside' }]), /leaves the root/],
    ['loop', deb([symlink('a', 'b'), symlink('b', 'a'), file('a/x')]), /too many symbolic links/],
    ['short', deb([file('x')]).subarray(0, -20), /truncated|decompressed/],
    ['text', Buffer.from('hello'), /not an ar archive/],
    [
      'format',
      ar({ 'debian-binary': Buffer.from('3.0\n') }),
      /format "3\.0\\n", which is not supported/,
    ],
    ['bare', ar({ 'debian-binary': Buffer.from('2.0\n') }), /truncated/],
    ['name', deb([], CONTROL.replace('evil', '../../x')), /invalid package or architecture name/],
    ['many', deb([], `${CONTROL}\n${CONTROL}`), /several paragraphs/],
    ['none', deb([], 'Package: x\n'), /without Package, Version or Architecture/],
  ];
  for (const [name, bytes, message] of refused) {
    const debs = path.join(base, name);
    mkdirSync(debs);
    writeFileSync(`${debs}/${name}.deb`, bytes);
    const { status, stderr } = jailbuild([`${base}/jail`, 'x', '--sysroot', `deb:${debs}`], {
      env,
    });
    assert.equal(status, 1, `${name}: ${stderr}`);
    assert.match(stderr, message, name);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.ok(stderr.includes(`${name}.deb`), stderr);
  }
  assert.deepEqual(readdirSync(outside), []);
  assert.deepEqual(readdirSync(`${base}/cache/jailbuild/images`), []);

  // Links to the outside are resolved inside the root, and a whiteout is an ordinary name.
  const debs = path.join(base, 'links');
  mkdirSync(debs);
  const members = [
    symlink('out', outside),
    file('out/inside', 'in'),
    directory('etc'),
    file('etc/.wh.x'),
    file('etc/x'),
  ];
  writeFileSync(`${debs}/links.deb`, deb(members));
  jailbuild([`${base}/jail`, 'x', '--sysroot', `deb:${debs}`], { env });
  const cache = `${base}/cache/jailbuild/images`;
  const root = path.join(cache, readdirSync(cache)[0] ?? '', 'root');
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readFileSync(`${root}${outside}/inside`, 'utf8'), 'in');
  assert.deepEqual(readdirSync(`${root}/etc`).sort(), ['.wh.x', 'x']);
  assert.match(
    jailbuild([`${base}/jail`, 'x', '--sysroot', `deb:${outside}`], { env }).stderr,
    /has no \.deb files/,
  );
});
