import assert from 'node:assert/strict';
import { chmodSync, copyFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const CAPABILITY = 'cap_net_raw=ep';

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = exec(file, args);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

describe('extended attributes changed in a jail', needsRoot('setcap', 'setfattr'), () => {
  const directory = tempDir();
  const program = path.join(directory, 'granted');
  copyFileSync('/bin/ls', program);
  chmodSync(program, 0o755);
  run('setcap', CAPABILITY, program);
  const jail = path.join(directory, 'jail');
  const granted = `${jail}${program}`;
  const capabilityOf = (file: string) => run('getcap', file).replace(/^\S+ /, '').trim();
  const build = (...options: string[]) => jailbuild([jail, program, 'id', '-q', ...options]);
  const isClean = () => assert.equal(jailbuild(['check', jail, '-q']).status, 0);

  test('a removed capability is restored by update and by build', () => {
    assert.equal(build().status, 0);
    for (const again of [() => jailbuild(['update', jail]), () => build()]) {
      run('setcap', '-r', granted);
      assert.equal(jailbuild(['check', jail, '-q']).status, 3);
      const { status, stderr } = again();
      assert.equal(status, 0, stderr);
      assert.match(stderr, /granted: was changed in the jail and is replaced/);
      assert.equal(capabilityOf(granted), CAPABILITY);
      isClean();
    }
    assert.equal(jailbuild(['update', jail]).stdout.split('\n').at(-2)?.slice(0, 10), 'Up to date');
  });

  test('an added capability is removed, and a changed one is restored', () => {
    const id = `${jail}/usr/bin/id`;
    run('setcap', 'cap_setuid=ep', id);
    run('setcap', 'cap_setuid=ep', granted);
    const { stdout, stderr } = jailbuild(['update', jail]);
    assert.match(stdout, /^~ \/usr\/bin\/id$/m, stderr);
    assert.equal(capabilityOf(id), '');
    assert.equal(capabilityOf(granted), CAPABILITY);
    isClean();
  });

  test('the recorded capability survives an extension of the jail', () => {
    assert.equal(jailbuild([jail, 'ls', '-q']).status, 0);
    run('setcap', '-r', program);
    run('setcap', '-r', granted);
    const found = jailbuild(['check', jail]);
    assert.match(found.stdout, /granted.*security\.capability/);
    run('setcap', CAPABILITY, program);
    assert.equal(jailbuild(['update', jail, '-q']).status, 0);
    assert.equal(capabilityOf(granted), CAPABILITY);
  });

  test('--changed keep leaves them as they are', () => {
    run('setcap', '-r', granted);
    assert.equal(build('--keep-changed').status, 0);
    assert.equal(capabilityOf(granted), '');
  });

  test('other attributes are restored if all of them are recorded', () => {
    const digested = path.join(directory, 'digested');
    run('setfattr', '-n', 'user.note', '-v', 'kept', program);
    assert.equal(jailbuild([digested, program, '-q', '--digests']).status, 0);
    const file = `${digested}${program}`;
    run('setfattr', '-x', 'user.note', file);
    run('setfattr', '-n', 'user.other', '-v', 'foreign', file);
    assert.equal(jailbuild(['update', digested, '-q']).status, 0);
    const names = run('getfattr', '-d', '--absolute-names', file);
    assert.match(names, /user\.note="kept"/);
    assert.doesNotMatch(names, /user\.other/);
    assert.equal(jailbuild(['check', digested, '-q']).status, 0);
  });

  const acls = needsRoot('setfacl', 'getfacl');
  test('changed, added and removed ACLs are restored', acls, () => {
    const [shared, plain] = ['shared', 'plain'].map((name) => path.join(directory, name));
    assert.ok(shared && plain);
    for (const file of [shared, plain]) copyFileSync('/bin/ls', file);
    run('setfacl', '-m', 'u:4242:rx', shared);
    const place = path.join(directory, 'with-acls');
    assert.equal(jailbuild([place, shared, plain, '-q', '--digests']).status, 0);
    const aclOf = (file: string) => run('getfacl', '-ncp', `${place}${file}`);
    const before = [shared, plain].map(aclOf);
    assert.match(before[0] ?? '', /^user:4242:r-x$/m);
    for (const words of [
      ['-m', 'u:4242:rwx', `${place}${shared}`],
      ['-b', `${place}${shared}`],
      ['-m', 'u:4243:rwx', `${place}${plain}`],
    ]) {
      run('setfacl', ...words);
      assert.equal(jailbuild(['check', place, '-q']).status, 3, words.join(' '));
      assert.equal(jailbuild(['update', place, '-q']).status, 0);
      assert.deepEqual([shared, plain].map(aclOf), before);
      assert.equal(jailbuild(['check', place, '-q']).status, 0);
    }
  });
});
