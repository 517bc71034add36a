import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** A kernel to boot: see .ci/kernel. */
function kernel(): string | undefined {
  const named = process.env.JAILBUILD_TEST_KERNEL;
  if (named !== undefined) return named;
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const boot = path.join(cache, 'jailbuild-test/kernel/boot');
  if (!existsSync(boot)) return undefined;
  const name = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'));
  return name === undefined ? undefined : path.join(boot, name);
}

function needsKernel(): { readonly skip: string | false } {
  const { skip } = needsRoot('qemu-system-x86_64', 'mknod');
  if (skip !== false) return { skip };
  return { skip: kernel() === undefined ? 'needs a kernel: .ci/kernel gets one' : false };
}

test('a kernel boots a cpio archive to a shell that runs programs', needsKernel(), () => {
  const directory = tempDir();
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
  const archive = path.join(directory, 'initrd.cpio.gz');
  assert.equal(jailbuild(['export', root, '--to', `cpio:${archive}`]).status, 0);

  const machine = '-machine pc -accel tcg -m 256 -nographic -no-reboot -nodefaults -serial stdio';
  // The shell ends, the kernel panics for want of an init, and the machine with it.
  const boot = ['-append', 'console=ttyS0 panic=-1 quiet', '-initrd', archive];
  const { stdout } = spawnSync(
    'qemu-system-x86_64',
    [...machine.split(' '), '-kernel', kernel() ?? '', ...boot],
    { encoding: 'utf8', timeout: 120_000, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  assert.match(stdout, /the shell is process 1\r?\n/);
  assert.match(stdout, /content of one file\r?\n/);
  assert.match(stdout, /names: 2\r?\n/);
  assert.match(stdout, /\/dev\/console\r?\n/);
  assert.match(stdout, /programs: cat\s+dash\s+ls\s+sh\s+stat/);
});
