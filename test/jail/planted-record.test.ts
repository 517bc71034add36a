import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  forgetUnprotected,
  noteUnprotected,
  refuseUnprotected,
} from '../../src/jail/record/protection.js';
import { canUncover } from '../../src/launcher/uncovering.js';
import { jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Creates a jail without a record, and beside it a record that requests a file of the host. */
function jailWithout(directory: string): { readonly jail: string; readonly planted: string } {
  const secret = path.join(directory, 'secret');
  writeFileSync(secret, 'of the host', { mode: 0o600 });
  const evil = path.join(directory, 'evil');
  const built = jailbuild([evil, 'sh', '--include', secret, '--no-sync']);
  assert.equal(built.status, 0, built.stderr);
  const jail = path.join(directory, 'jail');
  const bare = jailbuild([jail, 'sh', 'mkdir', 'cp', 'cat', 'ls', '--no-record', '--no-sync']);
  assert.equal(bare.status, 0, bare.stderr);
  rmSync(path.join(jail, '.jailbuild'), { recursive: true, force: true });
  return { jail, planted: path.join(evil, '.jailbuild/record.json') };
}

/** What root in the jail runs to plant a record. */
const PLANT =
  'mkdir -p /.jailbuild; umask 077; cat /data/record.json > /.jailbuild/record.json; ls -la /.jailbuild';

test('root in a jail without a record cannot create one', needsRoot(), () => {
  const directory = tempDir();
  const { jail, planted } = jailWithout(directory);
  mkdirSync(path.join(directory, 'data'));
  copyFileSync(planted, path.join(directory, 'data/record.json'));
  const bind = `${path.join(directory, 'data')}:/data:ro`;
  const { stderr } = jailbuild(['run', jail, '--bind', bind, '--', 'sh', '-c', PLANT]);
  assert.match(stderr, /Read-only file system|No space left/);
  assert.ok(!existsSync(path.join(jail, '.jailbuild/record.json')));
  assert.match(jailbuild(['update', jail]).stderr, /RECORD_MISSING|has no record/);
});

test('a jail that was entered with write access to its record is not updated', needsRoot(), (t) => {
  const directory = tempDir();
  const { jail, planted } = jailWithout(directory);
  mkdirSync(path.join(directory, 'data'));
  copyFileSync(planted, path.join(directory, 'data/record.json'));
  const note = `/var/lib/jailbuild/unprotected/${lstatSync(jail).ino}`;
  t.after(() => rmSync(note, { force: true }));
  const around = `${directory}:/mnt`;
  const plant =
    'umask 077; mkdir -p /mnt/jail/.jailbuild; cat /mnt/data/record.json > /mnt/jail/.jailbuild/record.json';
  const run = jailbuild(['run', jail, '--bind', around, '--', 'sh', '-c', plant]);
  assert.equal(run.status, 0, run.stderr);
  assert.ok(existsSync(path.join(jail, '.jailbuild/record.json')));
  for (const words of [
    ['update', jail],
    [jail, 'true'],
  ]) {
    fails('RECORD_REFUSED', /was run with privileges that let its root change the record/, words);
  }
  assert.ok(!existsSync(path.join(jail, directory, 'secret')));
  assert.match(readFileSync(note, 'utf8'), new RegExp(`${jail}\0$`));
});

test('options that give access to the record are recognised', () => {
  const jail = tempDir();
  const caps = (...bounding: readonly string[]) => ({ capabilities: { bounding, ambient: [] } });
  const bind = (source: string, readOnly: boolean) => ({
    mounts: [{ source, target: '/x', readOnly, devices: false }],
  });
  assert.equal(canUncover(jail, {}), false);
  assert.equal(canUncover(jail, caps('sys_admin', 'dac_read_search')), false);
  assert.equal(canUncover(jail, { ...caps('sys_admin'), seccomp: 'off' }), true);
  assert.equal(canUncover(jail, { ...caps('chown'), seccomp: 'off' }), false);
  assert.equal(canUncover(jail, caps('mknod')), process.geteuid?.() === 0);
  assert.equal(canUncover(jail, bind('/', false)), true);
  assert.equal(canUncover(jail, bind('/', true)), false);
  assert.equal(canUncover(jail, bind(jail, false)), true);
  assert.equal(canUncover(jail, bind(`${jail}/..`, false)), true);
  assert.equal(canUncover(jail, bind('/usr', false)), false);
});

test('a note only affects the directory that was entered', needsRoot(), (t) => {
  const state = process.env.XDG_STATE_HOME;
  process.env.XDG_STATE_HOME = tempDir();
  t.after(() => {
    if (state === undefined) delete process.env.XDG_STATE_HOME;
    else process.env.XDG_STATE_HOME = state;
  });
  const [one, other] = [tempDir(), tempDir()];
  const note = `/var/lib/jailbuild/unprotected/${lstatSync(one).ino}`;
  t.after(() => rmSync(note, { force: true }));
  assert.ok(noteUnprotected(one));
  assert.ok(noteUnprotected(one));
  assert.throws(() => refuseUnprotected(one), /RECORD_REFUSED|privileges that let/);
  refuseUnprotected(other);
  forgetUnprotected(one);
  refuseUnprotected(one);
});

test('an include cannot create a record', () => {
  const directory = tempDir();
  writeFileSync(path.join(directory, 'record.json'), '{}');
  const include = `${directory}/record.json:/.jailbuild/record.json`;
  fails('CONFLICT', /\/\.jailbuild is reserved for the jail's record/, [
    path.join(directory, 'jail'),
    'true',
    '--include',
    include,
  ]);
});
