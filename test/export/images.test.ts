import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { CRUN, makeRunnable, plainCgroups, trustingPolicy } from '../support/containers.js';
import { needs, needsRoot } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';
import { describeTree } from './support.js';

interface Report {
  readonly digest: string;
  readonly size: number;
  readonly image: {
    readonly config: string;
    readonly layers: readonly {
      readonly name: string;
      readonly digest: string;
      readonly diffId: string;
      readonly size: number;
    }[];
  };
}

const directory = tempDir();
const layout = path.join(directory, 'layout');

function exported(args: readonly string[], env: NodeJS.ProcessEnv = {}): Report {
  const result = jailbuild(['export', '--json', ...args], { env: { ...process.env, ...env } });
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout);
}

test('skopeo inspects the requested configuration', needs('skopeo'), () => {
  const report = exported([
    ...['bash', 'ls', '--to', `oci:${layout}:inspected`],
    ...['--entrypoint', '["/bin/bash","-c"]', '--cmd', '["ls \\"$0\\"","/usr"]'],
    ...['-e', 'LANG=C.UTF-8', '-e', 'EMPTY=', '--user', '1000:1000', '--workdir', '/usr'],
    ...['--expose', '8080', '--expose', '53/udp', '--volume', '/data', '--stop-signal', 'SIGINT'],
    ...['--label', 'a.b=c=d', '--annotation', 'org.example.note=some words', '--author', 'Ann'],
  ]);
  const image = `oci:${layout}:inspected`;
  const inspected = JSON.parse(succeed('skopeo', ['inspect', image]));
  assert.equal(inspected.Digest, report.digest);
  assert.equal(inspected.Os, 'linux');
  assert.deepEqual(inspected.Labels, { 'a.b': 'c=d' });
  assert.deepEqual(
    inspected.Layers,
    report.image.layers.map(({ digest }) => digest),
  );
  const config = JSON.parse(succeed('skopeo', ['inspect', '--config', image]));
  assert.equal(config.author, 'Ann');
  assert.deepEqual(config.config, {
    User: '1000:1000',
    ExposedPorts: { '53/udp': {}, '8080/tcp': {} },
    Env: [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'LANG=C.UTF-8',
      'EMPTY=',
    ],
    Entrypoint: ['/bin/bash', '-c'],
    Cmd: ['ls "$0"', '/usr'],
    Volumes: { '/data': {} },
    WorkingDir: '/usr',
    Labels: { 'a.b': 'c=d' },
    StopSignal: 'SIGINT',
  });
  const raw = JSON.parse(succeed('skopeo', ['inspect', '--raw', image]));
  assert.deepEqual(raw.annotations, { 'org.example.note': 'some words' });
});

test('skopeo copies every image format, with the same layers', needs('skopeo', 'zstd'), () => {
  const policy = trustingPolicy(directory);
  const forms = {
    'oci-archive': ['oci-archive:', ['--compression', 'zstd']],
    'docker-archive': ['docker-archive:', []],
    plain: ['oci-archive:', ['--compression', 'none']],
  } as const;
  for (const [name, [form, more]] of Object.entries(forms)) {
    const archive = `${form}${path.join(directory, `${name}.tar`)}:test:v1`;
    const { image } = exported(['ls', '--to', archive, '--layers', 'by-library', ...more]);
    const copy = path.join(directory, `copy-of-${name}`);
    succeed('skopeo', ['--policy', policy, 'copy', '-q', archive, `dir:${copy}`]);
    const config = JSON.parse(succeed('skopeo', ['inspect', '--config', `dir:${copy}`]));
    const layers = image.layers.map(({ diffId }) => diffId);
    assert.deepEqual(config.rootfs.diff_ids, layers);
    assert.ok(layers.length > 3);
  }
});

test('a layout stores several images, which share the layers of their libraries', () => {
  const shared = path.join(directory, 'shared');
  const one = exported(['bash', '--to', `oci:${shared}:one`, '--layers', 'by-library']);
  const two = exported(['env', 'ls', '--to', `oci:${shared}:two`, '--layers', 'by-library']);
  const libc = (report: Report) =>
    report.image.layers.find(({ name }) => /\/libc\.so\.6$|libc-[\d.]+\.so$/.test(name));
  assert.ok(libc(one) !== undefined);
  assert.deepEqual(libc(one), libc(two));
  const digests = [one, two].flatMap(({ digest, image }) => [
    digest,
    image.config,
    ...image.layers.map((layer) => layer.digest),
  ]);
  const stored = readdirSync(path.join(shared, 'blobs/sha256')).map((hex) => `sha256:${hex}`);
  assert.deepEqual(stored.sort(), [...new Set(digests)].sort());
  assert.ok(stored.length < digests.length);

  const again = exported(['env', '--to', `oci:${shared}:one`]);
  const { manifests } = JSON.parse(readFileSync(path.join(shared, 'index.json'), 'utf8'));
  assert.deepEqual(
    manifests.map(({ digest }: { readonly digest: string }) => digest),
    [two.digest, again.digest],
  );
});

test('umoci unpacks the same tree from any split into layers', needsRoot('umoci'), () => {
  const root = path.join(directory, 'jail');
  assert.equal(jailbuild([root, 'bash', 'ls', '-q']).status, 0);
  const trees = ['single', 'by-package', 'by-library'].map((layers) => {
    exported([root, '--to', `oci:${layout}:${layers}`, '--layers', layers]);
    const bundle = path.join(directory, `bundle-${layers}`);
    succeed('umoci', ['unpack', '--image', `${layout}:${layers}`, bundle]);
    return describeTree(path.join(bundle, 'rootfs'));
  });
  assert.ok(Object.keys(trees[0] ?? {}).length > 20);
  assert.deepEqual(trees[1], trees[0]);
  assert.deepEqual(trees[2], trees[0]);
});

test('crun runs the bundle that umoci unpacks', needsRoot('umoci', 'crun', 'unshare'), () => {
  const bundle = path.join(directory, 'bundle');
  exported(['bash', 'ls', '--to', `oci:${layout}:run`, '--', 'bash', '-c', 'ls /usr/bin']);
  succeed('umoci', ['unpack', '--image', `${layout}:run`, bundle]);
  makeRunnable(bundle);
  const state = path.join(directory, 'crun');
  const run = `${CRUN} --root ${state} run -b ${bundle} test-${process.pid}`;
  assert.equal(succeed('unshare', plainCgroups(run)), 'bash\nls\n');
});

test('podman loads and runs an image', needsRoot('podman', 'unshare'), () => {
  const archive = path.join(directory, 'podman.tar');
  const to = `docker-archive:${archive}:jailbuild/test:v1`;
  exported(['bash', 'env', '--to', to, '-e', 'WHO=you', '--', 'bash', '-c', 'env; echo $((6*7))']);
  const store = ['--root', path.join(directory, 'store'), '--runroot', path.join(directory, 'run')];
  const podman = ['podman', ...store, '--storage-driver vfs', '--cgroup-manager cgroupfs'].join(
    ' ',
  );
  const limits = '--ulimit nofile=256:256 --ulimit nproc=256:256';
  const run = `run --rm --network none --cgroups disabled ${limits} jailbuild/test:v1`;
  const both = `${podman} load -q -i ${archive} && ${podman} ${run}`;
  const output = succeed('unshare', plainCgroups(both));
  assert.match(output, /^WHO=you$/m);
  assert.match(output, /^42$/m);
});

test(
  'an image can be pushed to a registry and pulled back',
  needs('skopeo', 'docker-registry'),
  async () => {
    const policy = trustingPolicy(directory);
    const registry = await startRegistry(path.join(directory, 'registry'));
    try {
      const { digest } = exported(['ls', '--to', `oci:${layout}:push`, '--layers', 'by-library']);
      const remote = `docker://${registry.address}/tools/ls:v1`;
      const skopeo = (...args: readonly string[]) =>
        succeed('skopeo', ['--policy', policy, ...args]);
      skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout}:push`, remote);
      const inspected = JSON.parse(skopeo('inspect', '--tls-verify=false', remote));
      assert.equal(inspected.Digest, digest);
      const pulled = `oci:${path.join(directory, 'pulled')}:v1`;
      skopeo('copy', '-q', '--src-tls-verify=false', remote, pulled);
      assert.equal(JSON.parse(skopeo('inspect', pulled)).Digest, digest);
    } finally {
      await registry.stop();
    }
  },
);
