import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild, PROJECT, succeed } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { boot, needsKernel } from '../support/kernel.js';
import { tempDir } from '../support/temp-dir.js';
import { compileFixture } from './support.js';

/** The first processes of a machine with version 2 of the control groups alone; `r` is the runtime. */
const INIT = `#!/bin/sh
exec 2>&1
b() { busybox "$@"; }
r() { ${process.execPath} /package/dist/jailbuild.cjs oci-runtime --root /run/oci "$@"; }
b mount -t proc proc /proc; b mount -t sysfs sys /sys; b mount -t devtmpfs dev /dev
b mount -t cgroup2 none /sys/fs/cgroup
r create -b /bundle c < /dev/null > /out 2>&1; echo "@ create $?"; b cat /out
cd /sys/fs/cgroup/jailbuild/c; echo "@ limits"; b cat memory.max pids.max cpu.max
r start c; echo "@ start $?"
for i in $(b seq 600); do b grep -q done /out && break; b sleep 0.5; done; b cat /out
# A shell that cannot fork ends and leaves its children to a first process that does not wait for them.
echo 20 > pids.max
count() { b wc -l < cgroup.procs; }
for i in $(b seq 600); do [ $(count) = 1 ] && break; b sleep 0.1; done
echo "@ exec"; r exec c -- /bin/sh -c 'busybox cat /proc/self/cgroup; echo > /in; until [ -e /go ]; do busybox sleep 0.1; done' &
for i in $(b seq 600); do [ -e /jail/in ] && break; b sleep 0.1; done
[ $(count) -gt 1 ] && echo joined; echo > /jail/go; wait
cd /; r delete -f c; echo "@ delete $?"; b ls /sys/fs/cgroup/jailbuild/c
`;

/** What the container does: it uses more memory, and then more processes, than it may. */
const COMMAND = `/grow 8; echo little $?; /grow 100; echo much $?
  (for i in 1 2 3 4 5 6 7 8; do busybox sleep 2 & done; wait); echo done; exec busybox sleep 1000`;

describe('the OCI runtime with version 2 of the control groups', needsKernel('busybox'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'root');
  let console = '';

  before(() => {
    buildJail(root, [process.execPath]);
    for (const name of [
      'jail/bin',
      'jail/proc',
      'jail/dev',
      'package',
      'run',
      'sys',
      'proc',
      'dev',
    ])
      mkdirSync(path.join(root, name), { recursive: true });
    mkdirSync(path.join(root, 'usr/bin'), { recursive: true });
    // The Node that runs this test may lie elsewhere, in a jail without /bin.
    if (!existsSync(path.join(root, 'bin'))) symlinkSync('usr/bin', path.join(root, 'bin'));
    for (const name of ['usr/bin/busybox', 'jail/bin/busybox', 'jail/bin/sh'])
      copyFileSync('/usr/bin/busybox', path.join(root, name));
    for (const name of ['sh', 'mkfifo']) symlinkSync('busybox', path.join(root, 'usr/bin', name));
    compileFixture('grow', path.join(root, 'jail/grow'));
    succeed('mknod', [`${root}/dev/console`, 'c', '5', '1']);
    cpSync(path.join(PROJECT, 'dist'), path.join(root, 'package/dist'), { recursive: true });
    const bundle = path.join(root, 'bundle');
    const limits = ['--memory', '32m', '--pids-limit', '6', '--cpus', '0.5'];
    const words = ['run', path.join(root, 'jail'), ...limits, '--oci-bundle', bundle];
    assert.equal(jailbuild([...words, '--', '/bin/sh', '-c', COMMAND]).status, 0);
    const file = path.join(bundle, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...config, root: { path: '/jail' } }));
    writeFileSync(path.join(root, 'init'), INIT);
    chmodSync(path.join(root, 'init'), 0o755);
    // Not compressed: the emulated machine takes longer to unpack it than to run the test.
    const archive = path.join(directory, 'initrd.cpio');
    assert.equal(jailbuild(['export', root, '--to', `cpio:${archive}`]).status, 0);
    console = boot(archive);
    exec('rm', ['-f', archive]);
  });

  test('sets the limits of a container', () => {
    assert.match(console, /@ create 0\n@ limits\n33554432\n6\n50000 100000\n@ start 0\n/);
  });

  test('limits memory and processes', () => {
    assert.match(console, /^little 0$/m);
    assert.match(console, /^much 137$/m);
    assert.match(console, /can't fork: Resource temporarily unavailable/);
    assert.match(console, /^done$/m);
  });

  test('runs further processes in the cgroup of the container', () => {
    assert.match(console, /@ exec\n0::\/\njoined\n/);
  });

  test('removes the cgroup', () => {
    assert.match(console, /@ delete 0\n[^\n]*No such file or directory/);
  });
});
