import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, type Finished, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';
import { ENVIRONMENT, NEEDS_FRONT } from './support.js';

const directory = tempDir();
const dist = path.join(directory, 'dist');
const snapshots = path.join(dist, 'snapshot');
/** Number of damaged positions, from the first byte to the last. */
const DAMAGES = 12;
const fallBack = /^jailbuild: starts without the start-up snapshot: /m;

/** Uses a copy of the package, which has no snapshot yet: a snapshot is valid for one path. */
function script(args: readonly string[]): Finished {
  return exec(process.execPath, [path.join(dist, 'jailbuild.cjs'), ...args], { env: ENVIRONMENT });
}

function front(args: readonly string[], env: NodeJS.ProcessEnv = {}): Finished {
  const program = path.join(dist, `native/linux-${process.arch}/jailbuild`);
  return exec(program, args, { env: { ...ENVIRONMENT, ...env } });
}

function fileOf(suffix: string): string {
  const name = readdirSync(snapshots).find((found) => found.endsWith(suffix));
  assert.ok(name !== undefined);
  return path.join(snapshots, name);
}

/** Runs a command that reports if it starts without the snapshot. */
function run(env: NodeJS.ProcessEnv = {}): {
  readonly isFromSnapshot: boolean;
  readonly reason: string;
} {
  const jail = path.join(directory, 'jail');
  const { status, stdout, stderr } = front([jail, 'env', 'ls', '--verbose'], env);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /Done/);
  const said = stderr.split('\n').find((line) => fallBack.test(line));
  // The reason is only printed with --verbose.
  assert.doesNotMatch(front([jail, 'env', 'ls', '--quiet'], env).stderr, /snapshot/);
  return { isFromSnapshot: said === undefined, reason: said?.replace(fallBack, '') ?? '' };
}

describe('the start-up snapshot', NEEDS_FRONT, () => {
  cpSync(path.join(PROJECT, 'dist'), dist, {
    recursive: true,
    filter: (from) => !from.endsWith('/types'),
  });
  chmodSync(dist, 0o755);

  test('is not used at another path', () => {
    if (!existsSync(snapshots)) return;
    assert.match(run().reason, /there is none for this Node/);
    rmSync(snapshots, { recursive: true });
  });

  test('is created, used and removed', () => {
    const made = script(['optimize', '--json']);
    assert.equal(made.status, 0, made.stderr);
    assert.equal(JSON.parse(made.stdout).snapshot, fileOf('.blob'));
    assert.deepEqual(run(), { isFromSnapshot: true, reason: '' });
    assert.equal(front(['--version']).stdout, script(['--version']).stdout);
    assert.deepEqual(front(['--help']), script(['--help']));
    assert.deepEqual(front(['no-such', '--option']), script(['no-such', '--option']));
    assert.equal(script(['optimize', '--remove']).status, 0);
    assert.equal(existsSync(snapshots), false);
    assert.equal(front(['--version']).status, 0);
    assert.equal(front(['optimize']).status, 0);
    assert.equal(run().isFromSnapshot, true);
  });

  test('is not used if the environment configures Node', () => {
    for (const name of ['NODE_OPTIONS', 'NODE_V8_COVERAGE', 'NODE_DEBUG']) {
      const value = name === 'NODE_OPTIONS' ? '--no-warnings' : path.join(directory, 'none');
      assert.match(run({ [name]: value }).reason, /settings for Node/, name);
    }
    assert.equal(run({ NODE_ENV: 'production' }).isFromSnapshot, true);
    // V8 then also rejects the compiled bundle, and compiles it.
    assert.equal(run({ NODE_OPTIONS: '--max-old-space-size=400' }).isFromSnapshot, false);
  });

  test('is not used with another Node, or a script that starts Node', () => {
    const bin = path.join(directory, 'bin');
    exec('mkdir', [bin]);
    writeFileSync(path.join(bin, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, {
      mode: 0o755,
    });
    assert.match(run({ PATH: `${bin}:${process.env.PATH}` }).reason, /there is none for this Node/);
  });

  test('is not used if others may write to it', () => {
    for (const [file, mode] of [
      [snapshots, 0o777],
      [snapshots, 0o775],
      [fileOf('.blob'), 0o666],
      [fileOf('.tag'), 0o646],
    ] as const) {
      const good = file === snapshots ? 0o755 : 0o644;
      chmodSync(file, mode);
      assert.equal(run().isFromSnapshot, false, `${file} ${mode.toString(8)}`);
      chmodSync(file, good);
    }
    chmodSync(dist, 0o777);
    const { status, stderr } = script(['optimize']);
    chmodSync(dist, 0o755);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^jailbuild: .*dist: is writable by everyone, who could change what is started\n$/,
    );
  });

  test('is used after copying if the content is the same', () => {
    const blob = fileOf('.blob');
    const copy = readFileSync(blob);
    writeFileSync(blob, copy);
    assert.equal(run().isFromSnapshot, true);
  });

  test('is not used if damaged at any position', () => {
    const blob = fileOf('.blob');
    const good = readFileSync(blob);
    for (let i = 0; i < DAMAGES; i++) {
      const at = Math.floor((i / (DAMAGES - 1)) * (good.length - 1));
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ (1 << (i % 8)), at);
      writeFileSync(blob, bad);
      assert.equal(run().isFromSnapshot, false, `bit ${i % 8} of byte ${at}`);
    }
    for (const length of [0, 1, 4096, good.length - 1]) {
      writeFileSync(blob, good.subarray(0, length));
      assert.equal(run().isFromSnapshot, false, `${length} bytes`);
    }
    writeFileSync(blob, good);
    const tag = fileOf('.tag');
    const text = readFileSync(tag);
    for (const bad of ['', 'x', '0'.repeat(300), text.toString('latin1').replace(/^./, 'x')]) {
      writeFileSync(tag, bad);
      assert.equal(run().isFromSnapshot, false);
    }
    writeFileSync(tag, text);
    assert.equal(run().isFromSnapshot, true);
  });
});

test('a damaged compiled bundle is not used, at any position', () => {
  const own = path.join(directory, 'script');
  exec('mkdir', [own]);
  for (const name of ['cli.cjs', 'jailbuild.cjs', `cli.${process.arch}.cache`]) {
    cpSync(path.join(PROJECT, 'dist', name), path.join(own, name));
  }
  const cache = path.join(own, `cli.${process.arch}.cache`);
  const good = readFileSync(cache);
  const version = () =>
    exec(process.execPath, [path.join(own, 'jailbuild.cjs'), '--version'], { env: ENVIRONMENT });
  const expected = version();
  assert.equal(expected.status, 0);
  for (let i = 0; i < DAMAGES; i++) {
    const at = Math.floor((i / (DAMAGES - 1)) * (good.length - 1));
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(at) ^ (1 << (i % 8)), at);
    writeFileSync(cache, bad);
    assert.deepEqual(version(), expected, `bit ${i % 8} of byte ${at}`);
  }
  for (const length of [0, 1, 3, 4, 5, good.length - 1]) {
    writeFileSync(cache, good.subarray(0, length));
    assert.deepEqual(version(), expected, `${length} bytes`);
  }
});

test('a bundle compiled on another architecture, on which V8 would crash, is not used', () => {
  const preload = path.join(directory, 'architecture.cjs');
  writeFileSync(
    preload,
    `const vm = require('node:vm');
    const { Script } = vm;
    if (process.env.ARCHITECTURE) Object.defineProperty(process, 'arch', { value: process.env.ARCHITECTURE });
    vm.Script = class extends Script {
      constructor(code, options) {
        super(code, options);
        console.error(options.cachedData === undefined ? 'compiles' : this.cachedDataRejected ? 'rejects' : 'takes');
      }
    };`,
  );
  const start = (architecture: string): Finished =>
    exec(
      process.execPath,
      ['--require', preload, path.join(PROJECT, 'dist/jailbuild.cjs'), '--version'],
      { env: { ...ENVIRONMENT, ARCHITECTURE: architecture } },
    );
  const [own, other] = [start(''), start(process.arch === 'x64' ? 'arm64' : 'x64')];
  assert.deepEqual([own.status, other.status, other.stdout], [0, 0, own.stdout]);
  // The Node that built the bundle may be another version.
  assert.match(own.stderr, /^(?:takes|rejects)\n/);
  assert.match(other.stderr, /^compiles\n/);
});
