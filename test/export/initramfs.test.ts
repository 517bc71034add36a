import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { boot, bootDisk, needsKernel } from '../support/kernel.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a jail with an init that prints what the kernel provides. */
function makeRoot(directory: string): string {
  const root = path.join(directory, 'root');
  assert.equal(jailbuild([root, 'sh', 'cat', 'ls', 'stat', '-q']).status, 0);
  mkdirSync(`${root}/dev`);
  assert.equal(exec('mknod', [`${root}/dev/console`, 'c', '5', '1']).status, 0);
  writeFileSync(`${root}/one`, 'content of one file\n');
  assert.equal(exec('ln', [`${root}/one`, `${root}/two`]).status, 0);
  const init = [
    '#!/bin/sh',
    'echo "the shell is process $$"',
    'cat /two',
    'stat -c "names: %h" /one',
    'ls -d /dev/console',
    'echo "programs: $(ls /usr/bin)"',
  ];
  writeFileSync(`${root}/init`, `${init.join('\n')}\n`, { mode: 0o755 });
  return root;
}

function checkConsole(stdout: string): void {
  assert.match(stdout, /the shell is process 1\r?\n/);
  assert.match(stdout, /content of one file\r?\n/);
  assert.match(stdout, /names: 2\r?\n/);
  assert.match(stdout, /\/dev\/console\r?\n/);
  assert.match(stdout, /programs: cat\s+dash\s+ls\s+sh\s+stat/);
}

test('a kernel boots a cpio archive to a shell that runs programs', needsKernel(), () => {
  const directory = tempDir();
  const archive = path.join(directory, 'initrd.cpio.gz');
  assert.equal(jailbuild(['export', makeRoot(directory), '--to', `cpio:${archive}`]).status, 0);
  checkConsole(boot(archive));
});

test('a kernel boots from a disk image', needsKernel('/usr/sbin/debugfs'), () => {
  const directory = tempDir();
  const image = path.join(directory, 'root.raw');
  assert.equal(jailbuild(['export', makeRoot(directory), '--to', `ext4:${image}`]).status, 0);
  checkConsole(bootDisk(image, 'ext4'));
});
