import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exec, type Finished, JAILBUILD, succeed } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { type RunningServer, startUntil } from '../support/server.js';
import { tempDir } from '../support/temp-dir.js';

const PORT = 5000;

/** A network namespace with a registry in it. */
interface Host {
  readonly holder: ChildProcess;
  readonly address: string;
  readonly storage: string;
  /** Arguments of nsenter(1). */
  readonly inside: readonly string[];
}

const needed = needsRoot('docker-registry', 'skopeo', 'unshare', 'nsenter', 'ip');

describe('two registries, each on a machine of its own', needed, () => {
  const directory = tempDir();
  const at = (...names: readonly string[]) => path.join(directory, ...names);
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_CACHE_HOME: at('cache'), HOME: directory };
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'REGISTRY_AUTH_FILE']) {
    delete env[name];
    delete env[name.toLowerCase()];
  }
  let near: Host;
  let far: Host;
  const servers = new Map<Host, RunningServer>();

  async function makeHost(address: string): Promise<Host> {
    const own = readlinkSync('/proc/self/ns/net');
    const holder = spawn('unshare', ['--net', 'sleep', '900'], { stdio: 'ignore' });
    const namespace = `/proc/${holder.pid}/ns/net`;
    while (readlinkSync(namespace) === own) await pause(10);
    const inside = [`--net=${namespace}`];
    succeed('nsenter', [...inside, 'ip', 'link', 'set', 'lo', 'up']);
    const storage = at(address);
    mkdirSync(storage);
    return { holder, address, storage, inside };
  }

  /** Starts the registry of a machine, again if it was killed. */
  async function serve(host: Host): Promise<void> {
    const { storage, inside, address } = host;
    const file = path.join(storage, 'registry.yml');
    const http = { addr: `${address}:${PORT}`, secret: 'of the tests' };
    const storageOf = { filesystem: { rootdirectory: storage } };
    writeFileSync(file, JSON.stringify({ version: 0.1, storage: storageOf, http }));
    const words = ['nsenter', ...inside, 'docker-registry', 'serve', file];
    const connect = `exec 3<>/dev/tcp/${address}/${PORT}`;
    const isReady = () => exec('nsenter', [...inside, 'bash', '-c', connect]).status === 0;
    servers.set(host, await startUntil(address, words, isReady));
  }

  before(async () => {
    [near, far] = [await makeHost('10.77.0.1'), await makeHost('10.77.0.2')];
    const peer = ['type', 'veth', 'peer', 'name', 'wire', 'netns', String(far.holder.pid)];
    succeed('nsenter', [...near.inside, 'ip', 'link', 'add', 'wire', ...peer]);
    for (const { inside, address } of [near, far]) {
      succeed('nsenter', [...inside, 'ip', 'address', 'add', `${address}/24`, 'dev', 'wire']);
      succeed('nsenter', [...inside, 'ip', 'link', 'set', 'wire', 'up']);
    }
    await Promise.all([near, far].map(serve));
  });
  after(async () => {
    await Promise.all([...servers.values()].map((server) => server.stop()));
    for (const { holder } of [near, far]) holder.kill();
  });

  const imageOf = ({ address }: Host, name: string) => `docker://${address}:${PORT}/${name}`;
  /** Runs jailbuild on the near machine. */
  const run = (
    [command = '', ...args]: readonly string[],
    more: NodeJS.ProcessEnv = {},
  ): Finished =>
    exec(
      'nsenter',
      [...near.inside, process.execPath, JAILBUILD, command, '--tls-verify=false', ...args],
      {
        env: { ...env, ...more },
      },
    );
  const digestOf = (image: string): string => {
    const words = [...near.inside, 'skopeo', 'inspect', '--tls-verify=false', image];
    return JSON.parse(succeed('nsenter', words)).Digest;
  };
  const pushed = ({ status, stdout, stderr }: Finished): string => {
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout).digest;
  };

  test('an image of one is slimmed into the other, and its layers are mounted there', () => {
    const full = imageOf(near, 'full:v1');
    const words = ['export', 'ls', 'cat', 'sort', '--to', full, '--json', '--', '/bin/ls'];
    const whole = pushed(run(words));
    assert.equal(digestOf(full), whole);
    const slim = (to: string) => run(['export', '--from-image', full, '--to', to, '--json']);
    const digest = pushed(slim(imageOf(far, 'slim:v1')));
    assert.equal(digestOf(imageOf(far, 'slim:v1')), digest);
    assert.equal(pushed(slim(imageOf(near, 'slim:v1'))), digest);
    assert.equal(pushed(slim(imageOf(far, 'again:v1'))), digest);
    assert.equal(digestOf(imageOf(far, 'again:v1')), digest);
    // docker-registry keeps a directory of uploads where there were some.
    const hadUploads = (name: string) =>
      existsSync(path.join(far.storage, 'docker/registry/v2/repositories', name, '_uploads'));
    assert.deepEqual(['slim', 'again'].map(hadUploads), [true, false]);
  });

  test('NO_PROXY names the network in which no proxy is used', () => {
    // Nothing listens there.
    const proxy = { HTTP_PROXY: 'http://10.77.0.1:9', HTTPS_PROXY: 'http://10.77.0.1:9' };
    const tree = ['tree', 'ls', '--sysroot', imageOf(far, 'slim:v1')];
    const refused = run(tree, proxy);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /the proxy http:\/\/10\.77\.0\.1:9: connect ECONNREFUSED/);
    const direct = run(tree, { ...proxy, NO_PROXY: '10.77.0.0/24' });
    assert.equal(direct.status, 0, direct.stderr);
  });

  test('an upload goes on after the far registry was killed', async () => {
    const large = at('large');
    writeFileSync(large, 'not much in it');
    truncateSync(large, 160 << 20);
    const to = imageOf(far, 'large:v1');
    const words = ['export', 'ls', '--include', `${large}:/large`, '--to', to, '--json'];
    const all = [...words, '--compression', 'none', '--tls-verify=false'];
    const child = spawn('nsenter', [...near.inside, process.execPath, JAILBUILD, ...all], { env });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const uploads = path.join(far.storage, 'docker/registry/v2/repositories/large/_uploads');
    while (!hasChunk(uploads) && child.exitCode === null) await pause(2);
    await servers.get(far)?.kill();
    assert.equal(child.exitCode, null, `it ended before: ${stderr}`);
    await serve(far);
    const status = await ended;
    assert.equal(digestOf(to), pushed({ status, stdout, stderr, signal: null }));
  });
});

/** Whether the first chunk of an upload is stored. */
function hasChunk(uploads: string): boolean {
  try {
    return readdirSync(uploads).some(
      (id) => statSync(path.join(uploads, id, 'data')).size > 1 << 24,
    );
  } catch {
    return false;
  }
}
