import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { trustingPolicy } from '../support/containers.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const cache = path.join(directory, 'cache');
const layout = path.join(directory, 'layout');
const env = { ...process.env, XDG_CACHE_HOME: cache };

function run(...args: readonly string[]): string {
  const result = jailbuild(args, { env });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

/** Makes an image with more than its command needs, in several layers. */
function fullImage(tag: string, ...options: readonly string[]): string {
  run(
    ...['export', 'bash', 'ls', 'cat', 'sort', '--layers', 'by-package', '--max-layers', '4'],
    ...['--to', `oci:${layout}:${tag}`, '--entrypoint', '/bin/cat', '--cmd', '/etc/nsswitch.conf'],
    ...[
      '--env',
      'A=b c',
      '--user',
      '12:34',
      '--workdir',
      '/usr',
      '--expose',
      '80',
      '--volume',
      '/data',
    ],
    ...[
      '--include',
      '/etc/nsswitch.conf',
      '--label',
      'x.y=z',
      '--stop-signal',
      'SIGINT',
      ...options,
    ],
  );
  return `oci:${layout}:${tag}`;
}

test(
  'an image is reduced to what its command needs, with its configuration',
  needs('skopeo'),
  () => {
    const image = fullImage('full');
    const slim = `oci:${layout}:slim`;
    const report = JSON.parse(run('export', '--json', '--from-image', image, '--to', slim));
    const config = (of: string) => JSON.parse(succeed('skopeo', ['inspect', '--config', of]));
    assert.deepEqual(config(slim).config, config(image).config);
    assert.ok(report.leftOut.leftOut > 1_000_000);
    assert.ok(report.leftOut.packages.some(({ name }: { name?: string }) => name === undefined));
    const again = JSON.parse(run('export', '--json', '--from-image', image, '--to', slim));
    assert.equal(again.digest, report.digest);
    const root = path.join(directory, 'root');
    run('build', root, '--sysroot', slim, '/bin/cat', '--include', '/etc/nsswitch.conf');
    assert.deepEqual(
      readFileSync(path.join(root, 'etc/nsswitch.conf')),
      readFileSync('/etc/nsswitch.conf'),
    );
    assert.throws(() => statSync(path.join(root, 'bin/sort')));
  },
);

test(
  'an image is exported only if its command, or the given ones, succeed',
  needsRoot('unshare'),
  () => {
    const image = fullImage('proven');
    const to = path.join(directory, 'proven.tar');
    const args = ['export', '--from-image', image, '--to', `tar:${to}`];
    const proven = jailbuild([...args, '--prove'], { env });
    assert.equal(proven.status, 0, proven.stderr);
    assert.match(proven.stderr, /^jailbuild: proof \/bin\/cat \/etc\/nsswitch\.conf passed$/m);
    rmSync(to);
    const failing = JSON.stringify(['/bin/cat', '/etc/passwd']);
    const refused = jailbuild([...args, '--proof', failing], { env });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /proof \/bin\/cat \/etc\/passwd failed with status 1/);
    assert.match(refused.stderr, /the jail has no \/etc\/passwd|\/etc\/passwd/);
    assert.throws(() => statSync(to), { code: 'ENOENT' });
    // With the user and directory of the image.
    const identity = JSON.stringify(['bash', '-c', '[ "$UID $PWD $A" = "12 /usr b c" ]']);
    run(...args, 'bash', '--proof', identity, '--quiet');
    fails('USAGE', /--proof .*is not a JSON array of words/, [...args, '--proof', '[1]'], { env });
  },
);

for (const compression of ['none', 'gzip', 'zstd']) {
  test(`layers compressed with ${compression} are read`, needs('zstd'), () => {
    run('tree', '--sysroot', fullImage('base'), '/bin/ls');
    const image = fullImage(compression, '--compression', compression);
    const before = readdirSync(path.join(cache, 'jailbuild/images')).length;
    const first = run('tree', '--sysroot', image, '/bin/ls');
    assert.match(first, /libc\.so\.6/);
    // The configuration lists layers by their uncompressed digests: all three are the same image.
    assert.equal(readdirSync(path.join(cache, 'jailbuild/images')).length, before);
    assert.equal(run('tree', '--sysroot', image, '/bin/ls'), first);
  });
}

test('archives written by skopeo are read', needs('skopeo'), () => {
  const image = fullImage('archived');
  const policy = trustingPolicy(directory);
  const root = JSON.parse(
    run('export', '--json', '--from-image', image, '--to', `tar:${directory}/a.tar`),
  );
  for (const form of ['docker-archive', 'oci-archive']) {
    const archive = `${form}:${directory}/${form}.tar:name:tag`;
    succeed('skopeo', ['--policy', policy, 'copy', '--quiet', image, archive]);
    rmSync(cache, { recursive: true, force: true });
    const same = JSON.parse(
      run('export', '--json', '--from-image', archive, '--to', `tar:${directory}/b.tar`),
    );
    assert.equal(same.digest, root.digest);
  }
  fails(
    'IMAGE_NOT_FOUND',
    /has no image other/,
    ['tree', '--sysroot', `docker-archive:${directory}/docker-archive.tar:other`, 'ls'],
    { env },
  );
});

test('damaged images are reported in one line, and no files are left', () => {
  const image = fullImage('damaged');
  rmSync(cache, { recursive: true, force: true });
  const at = (digest: string) => path.join(layout, 'blobs', digest.replace(':', '/'));
  const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8'));
  const { digest } = index.manifests.find(
    ({ annotations }: { annotations: Record<string, string> }) =>
      annotations['org.opencontainers.image.ref.name'] === 'damaged',
  );
  const text = readFileSync(at(digest), 'utf8');
  const manifest = JSON.parse(text);
  const blob = at(manifest.layers[0].digest);
  const bytes = readFileSync(blob);
  const tree = ['tree', '--sysroot', image, '/bin/ls'] as const;
  writeFileSync(blob, bytes.subarray(0, bytes.length / 2));
  fails(
    'IMAGE_INVALID',
    /layer 1: (cannot be decompressed|is truncated|the blob sha256:[0-9a-f]+ is damaged: its content has the digest)/,
    [...tree],
    { env },
  );
  const changed = Buffer.from(bytes);
  changed[9] = 3;
  writeFileSync(blob, changed);
  fails(
    'IMAGE_INVALID',
    /layer 1: the blob sha256:[0-9a-f]+ is damaged: its content has the digest /,
    [...tree],
    { env },
  );
  rmSync(blob);
  fails('IMAGE_INVALID', /has no blob sha256/, [...tree], { env });
  writeFileSync(blob, bytes);
  writeFileSync(at(digest), JSON.stringify({ ...manifest, schemaVersion: 1 }));
  fails(
    'IMAGE_INVALID',
    /the blob sha256:[0-9a-f]+ is damaged: its content has the digest/,
    [...tree],
    {
      env,
    },
  );
  writeFileSync(at(digest), text);
  assert.deepEqual(readdirSync(path.join(cache, 'jailbuild/images')), []);
  fails(
    'IMAGE_NOT_FOUND',
    /has no image absent; it has/,
    ['tree', '--sysroot', `oci:${layout}:absent`, 'ls'],
    {
      env,
    },
  );
  fails(
    'IMAGE_NOT_FOUND',
    /is not an OCI image layout/,
    ['tree', '--sysroot', `oci:${directory}/nothing`, 'ls'],
    { env },
  );
  fails(
    'USAGE',
    /give oci:DIR/,
    ['export', '--from-image', 'oci:', '--to', `tar:${directory}/c.tar`],
    { env },
  );
});

test('an image that unpacks to more than its limit is refused', () => {
  const image = fullImage('large');
  fails(
    'IMAGE_INVALID',
    /than [12]00000 bytes: raise JAILBUILD_IMAGE_LIMIT/,
    ['tree', '--sysroot', image, '/bin/ls'],
    {
      env: {
        ...env,
        JAILBUILD_IMAGE_LIMIT: '100000',
        XDG_CACHE_HOME: path.join(directory, 'other'),
      },
    },
  );
});

test('a colon in a path is written after a backslash', needsRoot(), () => {
  const place = path.join(directory, 'with:colons\\and backslashes');
  const escaped = place.replace(/[\\:]/g, '\\$&');
  for (const form of ['oci', 'oci-archive', 'docker-archive']) {
    const image = `${form}:${escaped}.${form}:some/name:v1`;
    run('export', 'cat', '--to', image, '--quiet');
    assert.ok(statSync(`${place}.${form}`));
    const jail = path.join(directory, `from-${form}`);
    run('build', jail, 'cat', '--sysroot', image, '--quiet');
    assert.ok(statSync(path.join(jail, 'bin/cat')));
    // The reference in the record is read again from any working directory.
    rmSync(cache, { recursive: true });
    assert.match(run('update', jail), /^Up to date/);
  }
  const rule = path.join(directory, 'rule');
  run('tree', 'cat', '--sysroot', `oci:${escaped}.oci:some/name:v1`);
  const cwd = path.join(directory, 'relative:directory');
  mkdirSync(cwd);
  const built = jailbuild(['export', 'cat', '--to', 'oci:here', '-q'], { env, cwd });
  assert.equal(built.status, 0, built.stderr);
  const options = ['--sysroot', 'oci:here', '--quiet', '--depfile', rule];
  assert.equal(jailbuild(['build', 'jail', 'cat', ...options], { env, cwd }).status, 0);
  assert.match(run('check', path.join(cwd, 'jail')), /^Clean/);
});
