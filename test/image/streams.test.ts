import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('images that have no end, or are not there yet', needs('mkfifo'), () => {
  const directory = tempDir();
  const at = (name: string) => path.join(directory, name);
  const env = { ...process.env, XDG_CACHE_HOME: at('cache') };
  const refused = (reference: string, file: string, problem: string): void => {
    // A fault would wait or read for ever.
    const words = [at('jail'), 'ls', '--quiet', '--sysroot', reference];
    const { status, stderr } = jailbuild(words, { env, timeout: 100_000 });
    assert.deepEqual([status, stderr], [1, `jailbuild: ${file}: ${problem}\n`]);
  };
  const stream = 'is a stream: write its content to a file, and name that';

  before(() => {
    succeed('mkfifo', [at('fifo')]);
    const made = jailbuild(['export', 'ls', '--quiet', '--to', `oci:${at('layout')}:a`]);
    assert.equal(made.status, 0, made.stderr);
  });

  test('archives', () => {
    refused('docker-archive:/dev/zero', '/dev/zero', stream);
    refused(`docker-archive:${at('fifo')}`, at('fifo'), stream);
    refused(`oci-archive:${at('fifo')}`, at('fifo'), stream);
    refused(`docker-archive:${directory}`, directory, 'is a directory: name a file');
  });

  test('packages', () => {
    const file = at('packages/a.deb');
    mkdirSync(path.dirname(file));
    for (const make of [() => symlinkSync('/dev/zero', file), () => succeed('mkfifo', [file])]) {
      make();
      refused(`deb:${path.dirname(file)}`, file, stream);
      rmSync(file);
    }
  });

  test('blobs of a layout', () => {
    const blobs = at('layout/blobs/sha256');
    const files = readdirSync(blobs).map((name) => path.join(blobs, name));
    const [largest = ''] = files.sort((a, b) => statSync(b).size - statSync(a).size);
    for (const make of [
      () => symlinkSync('/dev/zero', largest),
      () => succeed('mkfifo', [largest]),
    ]) {
      rmSync(largest);
      make();
      refused(`oci:${at('layout')}:a`, largest, stream);
    }
  });

  test('a layout has a name that need not be UTF-8', () => {
    const script = `
      d=$(printf '%s/n\\377' "$1"); shift
      "$@" export ls --quiet --to "oci:$d:a" && "$@" "$d-jail" ls --quiet --sysroot "oci:$d:a"`;
    const { status, stderr } = exec(
      'sh',
      ['-c', script, 'sh', directory, process.execPath, JAILBUILD],
      { env },
    );
    assert.equal(status, 0, stderr);
  });
});
