import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild, PROJECT } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Copies an example, since building writes into its directory. */
function copied(name: string): string {
  const directory = path.join(tempDir(), name);
  cpSync(path.join(PROJECT, 'templates/examples', name), directory, { recursive: true });
  return directory;
}

describe('examples', () => {
  test('sftp: builds a jail for two users that sshd can confine', needsRoot('rsync'), () => {
    const directory = copied('sftp');
    const root = path.join(directory, 'transfer');
    const { status, stderr } = jailbuild([root, '--file', `${directory}/jail.yaml`, '--quiet']);
    assert.equal(status, 0, stderr);
    const names = readFileSync(`${root}/etc/passwd`, 'utf8').match(/^\w+:/gm);
    assert.deepEqual(names, ['root:', 'alice:', 'bob:']);
    const entered = exec('chroot', ['--userspec=2001:2001', root, 'rsync', '--version']);
    assert.equal(entered.status, 0, entered.stderr);
  });

  test('app: runs the program as nobody, without a network', needsRoot(), () => {
    const directory = copied('app');
    const { status, stdout, stderr } = jailbuild(
      ['--file', `${directory}/jail.yaml`, '--run', '--quiet'],
      { cwd: directory },
    );
    assert.equal(status, 0, stderr);
    const names = stdout.trim().split('\n');
    assert.ok(names.includes('usr') && names.includes('tmp') && !names.includes('home'), stdout);
  });

  test('initramfs: makes an archive with /init', needs('busybox', 'cpio', 'zcat'), () => {
    const directory = copied('initramfs');
    const archive = path.join(directory, 'initrd.gz');
    const { status, stderr } = jailbuild([
      ...['export', '--from', `${directory}/jail.yaml`, '--to', `cpio:${archive}`, '--quiet'],
    ]);
    assert.equal(status, 0, stderr);
    assert.ok(existsSync(archive));
    const list = exec('sh', ['-c', 'zcat "$0" | cpio --list --verbose --quiet', archive]).stdout;
    assert.match(list, /^-rwxr-xr-x .* init$/m);
    assert.match(list, /^-rwxr-xr-x .* usr\/bin\/busybox$/m);
  });
});
