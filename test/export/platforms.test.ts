import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { needs, onPath } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const QEMU = 'qemu-aarch64-static';
const COMPILER = 'aarch64-linux-gnu-gcc';
const LIBRARIES = '/usr/aarch64-linux-gnu/lib';
const tools = ['cc', COMPILER, QEMU, 'skopeo', LIBRARIES];
const env = { ...process.env, XDG_CACHE_HOME: at('cache') };

/** Creates a root directory with one program and the C library that it needs. */
function makeRoot(name: string, compiler: string, copy: (root: string) => void): void {
  mkdirSync(at(name, 'bin'), { recursive: true });
  const source = `#include <stdio.h>\nint main(int count, char **words) { puts("hello from ${name}"); return count > 1 && words[1][0] != '/'; }\n`;
  writeFileSync(at(`${name}.c`), source);
  succeed(compiler, ['-o', at(name, 'bin/hello'), at(`${name}.c`)]);
  writeFileSync(at(name, 'bin/greet'), '#!/bin/hello\n', { mode: 0o755 });
  copy(at(name));
}

before(() => {
  if (!onPath('cc') || !onPath(COMPILER)) return;
  makeRoot('amd64', 'cc', (root) => {
    const needed = succeed('ldd', [path.join(root, 'bin/hello')]).matchAll(/(\/\S+) \(0x/g);
    for (const [, file = ''] of needed) cpSync(realpathSync(file), root + file);
  });
  makeRoot('arm64', COMPILER, (root) => {
    for (const file of ['ld-linux-aarch64.so.1', 'libc.so.6']) {
      cpSync(realpathSync(path.join(LIBRARIES, file)), path.join(root, 'lib', file));
    }
  });
});

const BOTH = [
  ...['--platform', `linux/amd64=${at('amd64')}`],
  ...['--platform', `linux/arm64=${at('arm64')}`],
];

/** Returns the digest that an export reports. */
function exported(...args: readonly string[]): string {
  const { status, stdout, stderr } = jailbuild(['export', 'hello', ...args, '--json'], { env });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).digest;
}

test('an index of two platforms runs on both', needs(...tools), () => {
  const digest = exported(...BOTH, '--to', `oci:${at('layout')}:multi`);
  const image = `oci:${at('layout')}:multi`;
  const index = JSON.parse(succeed('skopeo', ['inspect', '--raw', image]));
  const platforms = index.manifests.map(({ platform }: { readonly platform: object }) => platform);
  assert.deepEqual(platforms, [
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'linux' },
  ]);
  assert.equal(exported(...BOTH, '--to', `oci:${at('again')}:multi`), digest);
  for (const [arch, runner] of [
    ['amd64', []],
    ['arm64', [QEMU]],
  ] as const) {
    const root = at(`root-${arch}`);
    mkdirSync(root);
    const copy = ['--override-arch', arch, 'copy', '--quiet', image, `dir:${at(`copy-${arch}`)}`];
    succeed('skopeo', copy);
    const manifest = JSON.parse(readFileSync(at(`copy-${arch}`, 'manifest.json'), 'utf8'));
    for (const layer of manifest.layers) {
      succeed('tar', ['-xzf', at(`copy-${arch}`, layer.digest.replace('sha256:', '')), '-C', root]);
    }
    const loader = arch === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2';
    const library = succeed('find', [root, '-name', 'libc.so.6']).trim();
    const [program = '', ...words] = [
      ...runner,
      path.join(root, loader),
      ...['--library-path', path.dirname(library)],
      path.join(root, 'bin/hello'),
    ];
    assert.equal(succeed(program, words), `hello from ${arch}\n`);
  }
  // It can be a source again, of which one platform is chosen.
  const slim = ['export', '--from-image', image, '--platform', 'linux/arm64'];
  const read = jailbuild([...slim, '--to', `tar:${at('slim.tar')}`], { env });
  assert.equal(read.status, 0, read.stderr);
  assert.match(succeed('tar', ['-tf', at('slim.tar')]), /ld-linux-aarch64/);
});

test('each platform is proven, with an emulator if needed', needs(...tools), () => {
  const args = ['export', 'hello', ...BOTH, '--to', `oci:${at('proven')}:v1`];
  const proven = jailbuild([...args, '--proof', 'hello', '--quiet'], { env });
  assert.equal(proven.status, 0, proven.stderr);
  // An interpreter for the platform runs a script.
  const greet = [...args, '--include', '/bin/greet', '--proof', 'greet'];
  const greeted = jailbuild(greet, { env });
  assert.equal(greeted.status, 0, greeted.stderr);
  assert.equal(greeted.stderr.match(/^jailbuild: proof greet passed$/gm)?.length, 2);
  const image = `oci:${at('proven')}:v1`;
  const config = (arch: string) =>
    JSON.parse(succeed('skopeo', ['--override-arch', arch, 'inspect', '--config', image]));
  assert.equal(config('arm64').architecture, 'arm64');
  assert.equal(config('amd64').architecture, 'amd64');
  // The emulator is not exported.
  const listed = jailbuild(
    [
      'export',
      '--from-image',
      image,
      '--platform',
      'linux/arm64',
      '--to',
      `tar:${at('no-emulator.tar')}`,
    ],
    { env },
  );
  assert.equal(listed.status, 0, listed.stderr);
  assert.doesNotMatch(succeed('tar', ['-tf', at('no-emulator.tar')]), /qemu/);
  const failed = jailbuild([...args, '--proof', '["hello", "no"]'], { env });
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /proof hello no failed with status 1: nothing was written\n$/);
});

test('a proof for another architecture is refused without an emulator', needs(...tools), () => {
  mkdirSync(at('few'));
  symlinkSync(process.execPath, at('few/node'));
  const few = { ...env, PATH: at('few') };
  const args = ['export', 'hello', '--platform', `linux/arm64=${at('arm64')}`, '--proof', 'hello'];
  const { status, stderr } = jailbuild([...args, '--to', `oci:${at('unproven')}:v1`], { env: few });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^jailbuild: \/bin\/hello is for linux\/arm64\/v8, which this machine runs by qemu-aarch64-static only: install it [^\n]*\n$/,
  );
  assert.ok(!existsSync(at('unproven')));
});

test('platforms added one after the other give the same index', needs(...tools), () => {
  const digest = exported(...BOTH, '--to', `oci:${at('joint')}:v1`);
  const to = ['--append', '--to', `oci:${at('appended')}:v1`];
  const platform = (arch: string) => ['--platform', `linux/${arch}=${at(arch)}`];
  const single = exported(...platform('arm64'), ...to);
  assert.notEqual(single, digest);
  assert.equal(exported(...platform('amd64'), ...to), digest);
  // Once more, in another order.
  assert.equal(exported(...platform('arm64'), ...to), digest);
  const replaced = exported(...platform('arm64'), '--to', `oci:${at('appended')}:v1`);
  assert.equal(replaced, single);
});

test(
  'a registry stores an index and accepts further platforms',
  needs(...tools, 'docker-registry'),
  async () => {
    const registry = await startRegistry(at('registry'));
    try {
      const image = (tag: string) => `docker://${registry.address}/hello:${tag}`;
      const to = (tag: string) => ['--to', image(tag), '--tls-verify=false'];
      const digest = exported(...BOTH, ...to('joint'));
      const raw = succeed('skopeo', ['inspect', '--raw', '--tls-verify=false', image('joint')]);
      assert.equal(JSON.parse(raw).manifests.length, 2);
      for (const arch of ['arm64', 'amd64']) {
        exported('--append', '--platform', `linux/${arch}=${at(arch)}`, ...to('appended'));
      }
      const inspect = ['inspect', '--tls-verify=false', '--override-arch', 'arm64'];
      const appended = JSON.parse(succeed('skopeo', [...inspect, image('appended')]));
      assert.equal(appended.Digest, digest);
      assert.equal(appended.Architecture, 'arm64');
    } finally {
      await registry.stop();
    }
  },
);

test('an archive stores an index', needs(...tools), () => {
  const digest = exported(...BOTH, '--to', `oci-archive:${at('multi.tar')}:multi`);
  const image = `oci-archive:${at('multi.tar')}:multi`;
  const index = JSON.parse(succeed('skopeo', ['inspect', '--raw', image]));
  assert.equal(index.manifests.length, 2);
  assert.equal(exported(...BOTH, '--to', `oci:${at('same')}:multi`), digest);
});

test('an export writes to several destinations, and its digests to a file', needs('tar'), () => {
  const args = [
    ...['export', 'ls', '--digest-file', at('digests')],
    ...['--to', `tar:${at('ls.tar')}`, '--to', `oci:${at('ls')}:one`],
    ...['--to', `docker-archive:${at('ls-docker.tar')}:ls`],
  ];
  const { status, stdout, stderr } = jailbuild([...args, '--json'], { env });
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout);
  const digests = report.outputs.map(({ digest }: { readonly digest: string }) => digest);
  assert.equal(report.outputs.length, 3);
  assert.equal(report.digest, digests[0]);
  assert.equal(readFileSync(at('digests'), 'utf8'), `${digests.join('\n')}\n`);
  for (const [index, output] of [`tar:${at('one.tar')}`, `oci:${at('other')}:one`].entries()) {
    const alone = jailbuild(['export', 'ls', '--to', output, '--json'], { env });
    assert.equal(JSON.parse(alone.stdout).digest, digests[index]);
  }
  const told = jailbuild(args, { env }).stdout.split('\n');
  assert.equal(told.filter((line) => line.startsWith('Exported ')).length, 3);
});

test('an impossible combination is refused before anything is written', () => {
  const refuse = (message: RegExp, ...args: readonly string[]) => {
    const { status, stderr } = jailbuild(['export', 'ls', ...args], { env });
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  };
  const layout = ['--to', `oci:${at('never')}`];
  refuse(
    /--platform linux\/arm64: give its root/,
    ...layout,
    '--platform',
    'linux/amd64=/',
    '--platform',
    'linux/arm64',
  );
  refuse(
    /linux\/amd64: is given twice/,
    ...layout,
    '--platform',
    'linux/amd64=/',
    '--platform',
    'linux/amd64=/',
  );
  refuse(
    /--sysroot and --platform with a root/,
    ...layout,
    '--platform',
    'linux/amd64=/',
    '--sysroot',
    '/',
  );
  refuse(
    /--append adds to a layout or a registry/,
    '--to',
    `oci-archive:${at('never')}`,
    '--append',
  );
  refuse(/only one archive can go to standard output/, '--to', 'tar:-', '--to', 'cpio:-');
  refuse(/--platform applies to images/, '--to', `tar:${at('never')}`, '--platform', 'linux/amd64');
  const two = ['--platform', 'linux/amd64=/', '--platform', 'linux/386=/'];
  refuse(/docker-archive holds one platform/, '--to', `docker-archive:${at('never')}`, ...two);
  const files = ['--digest-file', at('no/such/directory')];
  assert.equal(jailbuild(['export', 'ls', ...layout, ...files], { env }).status, 1);
  assert.ok(!existsSync(at('never')));
});
