import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { SparseFiles, stampOf } from '../../src/fs/sparse-files.js';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const MIB = 1 << 20;
const SIZE = 64 * MIB + 4321;

describe('a sparse file', () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const source = path.join(directory, 'data/holes');
  let expected: Buffer;

  before(() => {
    mkdirSync(path.dirname(source));
    const fd = openSync(source, 'w');
    for (const at of [0, 20 * MIB + 17, 20 * MIB + 5000, 63 * MIB]) writeSync(fd, `data ${at}`, at);
    ftruncateSync(fd, SIZE);
    closeSync(fd);
    expected = readFileSync(source);
    succeed(process.execPath, [
      JAILBUILD,
      ...[jail, 'true', '--include', `${path.dirname(source)}:/data`, '-q', '--no-sync'],
    ]);
  });

  const blocks = (file: string): number => lstatSync(file).blocks * 512;

  test('stays sparse in a jail', () => {
    assert.ok(readFileSync(`${jail}/data/holes`).equals(expected));
    assert.ok(blocks(`${jail}/data/holes`) < MIB, String(blocks(`${jail}/data/holes`)));
  });

  test('has the digest of its content, zeros included', () => {
    const include = ['--include', `${path.dirname(source)}:/data`];
    const { stdout } = jailbuild(['none', 'true', ...include, '--dry-run', '--format', 'json']);
    const { entries } = JSON.parse(stdout);
    const entry = entries.find((one: { path: string }) => one.path === '/data/holes');
    assert.equal(entry.digest, `sha256:${createHash('sha256').update(expected).digest('hex')}`);
  });

  test('is stored sparsely in an archive and unpacked completely', needs('tar', 'cpio'), () => {
    const archive = path.join(directory, 'jail.tar');
    const exported = jailbuild(['export', jail, '--to', `tar:${archive}`, '--json']);
    const { size, digest } = JSON.parse(exported.stdout);
    const bytes = readFileSync(archive);
    assert.equal(bytes.length, size);
    assert.equal(digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    assert.ok(blocks(archive) < 16 * MIB, String(blocks(archive)));
    succeed('tar', ['-xf', archive, '-C', directory, 'data/holes', '--transform=s,data/,tar-,']);
    assert.ok(readFileSync(`${directory}/tar-holes`).equals(expected));
    // A stream cannot be sparse, and has the same bytes.
    const piped = succeed('sh', [
      '-c',
      `"$0" "$1" export "$2" --to tar:- | sha256sum`,
      ...[process.execPath, JAILBUILD, jail],
    ]);
    assert.equal(piped.slice(0, 64), digest.slice(7));
    const unpacked = path.join(directory, 'cpio');
    mkdirSync(unpacked);
    const script = '"$0" "$1" export "$2" --to cpio:- | cpio -id --quiet -D "$3" data/holes';
    succeed('sh', ['-c', script, process.execPath, JAILBUILD, jail, unpacked]);
    assert.ok(readFileSync(`${unpacked}/data/holes`).equals(expected));
  });

  test('is stored completely in a layer', needs('umoci', 'strace'), () => {
    const layout = path.join(directory, 'image');
    const bundle = path.join(directory, 'bundle');
    const log = path.join(directory, 'log');
    const file = `${jail}/data/holes`;
    succeed('strace', [
      ...['-f', '-o', log, '-e', 'trace=read,pread64', '-P', file],
      ...[process.execPath, JAILBUILD, 'export', jail, '--to', `oci:${layout}:test`, '-q'],
    ]);
    const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
    succeed('umoci', ['unpack', ...rootless, '--image', `${layout}:test`, bundle]);
    assert.ok(readFileSync(`${bundle}/rootfs/data/holes`).equals(expected));
    // The holes were not read.
    const read = [...readFileSync(log, 'utf8').matchAll(/ = (\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
    const total = read.reduce((sum, count) => sum + count, 0);
    assert.ok(total > 0 && total < 4 * MIB, `${total} bytes were read`);
  });

  test('loses holes that were written to meanwhile', () => {
    const stat = lstatSync(source, { bigint: true });
    const extents = [{ start: 4096, end: 8192 }];
    const files = (stamp: string) => new SparseFiles(new Map([['/f', { stamp, extents }]]));
    assert.deepEqual(files(stampOf(stat)).pieces('/f', stat), [
      { at: 0, length: 4096, isHole: true },
      { at: 4096, length: 4096, isHole: false },
      { at: 8192, length: SIZE - 8192, isHole: true },
    ]);
    assert.deepEqual(files('other').pieces('/f', stat), [{ at: 0, length: SIZE, isHole: false }]);
  });

  test('may consist of one hole', needs('tar'), () => {
    const empty = path.join(directory, 'empty');
    mkdirSync(empty);
    exec('truncate', ['-s', String(5 * MIB + 1), `${empty}/hole`]);
    const archive = path.join(directory, 'hole.tar');
    succeed(process.execPath, [JAILBUILD, 'export', empty, '--to', `tar:${archive}`, '-q']);
    succeed('tar', ['-xf', archive, '-C', directory, 'hole']);
    assert.ok(readFileSync(`${directory}/hole`).equals(Buffer.alloc(5 * MIB + 1)));
  });
});
