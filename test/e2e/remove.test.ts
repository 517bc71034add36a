import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

function build(jail: string, ...args: readonly string[]): void {
  const { status, stderr } = jailbuild([jail, ...args, '-q']);
  assert.equal(status, 0, stderr);
}

describe('remove', needsRoot(), () => {
  test('removes all of a jail, and its directory', () => {
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    build(jail, 'ls', 'bash');
    const before = snapshot(jail);
    const dry = jailbuild(['remove', jail, '--dry-run']);
    assert.deepEqual(snapshot(jail), before);
    const { status, stdout, stderr } = jailbuild(['remove', jail]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, dry.stdout);
    assert.match(stdout, /^- \/usr\/bin\/ls$/m);
    assert.match(stdout, /^- \/\n$/m);
    assert.deepEqual(readdirSync(directory), []);
  });

  test("keeps the user's files, including changed ones, and lists them", () => {
    const jail = path.join(tempDir(), 'jail');
    build(jail, 'ls');
    mkdirSync(`${jail}/home`);
    writeFileSync(`${jail}/home/notes`, 'mine');
    writeFileSync(`${jail}/usr/bin/own`, 'mine');
    appendFileSync(`${jail}/usr/bin/ls`, 'mine');
    const { status, stdout } = jailbuild(['remove', jail, '--json']);
    assert.equal(status, 0);
    const { left, removed } = JSON.parse(stdout);
    assert.deepEqual(left, [
      { path: '/usr', why: 'holds other files' },
      { path: '/usr/bin', why: 'holds other files' },
      { path: '/usr/bin/ls', why: 'changed' },
    ]);
    assert.equal(removed.includes('/'), false);
    assert.deepEqual(Object.keys(snapshot(jail)), [
      '.',
      'home',
      'home/notes',
      'usr',
      'usr/bin',
      'usr/bin/ls',
      'usr/bin/own',
    ]);
  });

  test('--changed removes changed files as well', () => {
    const jail = path.join(tempDir(), 'jail');
    build(jail, 'ls');
    appendFileSync(`${jail}/usr/bin/ls`, 'mine');
    assert.equal(jailbuild(['remove', jail, '--changed']).status, 0);
    assert.equal(existsSync(jail), false);
  });

  test('completes a killed removal, and removes a killed first build', () => {
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    const removed = () => {
      const { status, stdout, stderr } = jailbuild(['remove', jail]);
      assert.equal(status, 0, stderr);
      return stdout;
    };
    // A build that was killed before its record was in place.
    build(jail, 'ls');
    renameSync(`${jail}/.jailbuild/record.json`, `${jail}/.jailbuild/record.json.new`);
    assert.match(removed(), /^- \/usr\/bin\/ls$/m);
    assert.deepEqual(readdirSync(directory), []);
    // The record is gone; its directory and the jail's are left.
    mkdirSync(`${jail}/.jailbuild`, { recursive: true, mode: 0o700 });
    assert.match(removed(), /^- \/$/m);
    assert.deepEqual(readdirSync(directory), []);
    mkdirSync(jail);
    assert.match(removed(), /^- \/$/m);
    assert.deepEqual(readdirSync(directory), []);
    // With files of the user.
    mkdirSync(`${jail}/.jailbuild`, { recursive: true, mode: 0o700 });
    writeFileSync(`${jail}/notes`, 'mine');
    removed();
    assert.deepEqual(readdirSync(jail), ['notes']);
    // A directory of a user, and one that only contains traces of a run.
    assert.match(jailbuild(['remove', jail]).stderr, /has no record of a build/);
    mkdirSync(`${jail}/.jailbuild`, { mode: 0o755 });
    assert.match(jailbuild(['remove', jail]).stderr, /has no record of a build/);
    assert.deepEqual(readdirSync(jail), ['.jailbuild', 'notes']);
  });

  test('keeps what existed before the jail was built', () => {
    const jail = path.join(tempDir(), 'jail');
    mkdirSync(`${jail}/usr/bin`, { recursive: true });
    build(jail, 'ls');
    const { stdout } = jailbuild(['remove', jail]);
    assert.match(stdout, /^ {2}\/usr\/bin: left, not made by jailbuild$/m);
    assert.deepEqual(Object.keys(snapshot(jail)), ['.', 'usr', 'usr/bin']);
  });

  test('does not follow links out of the jail', () => {
    const directory = tempDir();
    const jail = path.join(directory, 'jail');
    build(jail, 'ls');
    const outside = path.join(directory, 'outside');
    exec('cp', ['-a', `${jail}/usr/bin`, outside]);
    exec('rm', ['-r', `${jail}/usr/bin`]);
    symlinkSync(outside, `${jail}/usr/bin`);
    const { status, stdout } = jailbuild(['remove', jail]);
    assert.equal(status, 0);
    assert.match(stdout, /\/usr\/bin: left, changed/);
    assert.deepEqual(readdirSync(outside), ['ls']);
  });

  test('refuses while something is mounted inside', needsRoot('mount', 'umount'), () => {
    const jail = path.join(tempDir(), 'a jail');
    build(jail, 'ls');
    mkdirSync(`${jail}/proc x`);
    assert.equal(exec('mount', ['-t', 'tmpfs', 'tmpfs', `${jail}/proc x`]).status, 0);
    const before = snapshot(jail);
    try {
      const { status, stderr } = jailbuild(['remove', jail]);
      assert.equal(status, 1);
      assert.equal(stderr, `jailbuild: ${jail}/proc x: is mounted in the jail: unmount it first\n`);
      assert.deepEqual(snapshot(jail), before);
    } finally {
      exec('umount', [`${jail}/proc x`]);
    }
  });

  test('warns of processes that run in it', needsRoot('chroot'), async () => {
    const jail = path.join(tempDir(), 'jail');
    build(jail, 'sleep');
    const sleeper = spawn('chroot', [jail, 'sleep', '600'], { stdio: 'ignore' });
    try {
      const deadline = Date.now() + 120_000;
      let stderr = '';
      while (!stderr.includes('running') && Date.now() < deadline) {
        stderr = jailbuild(['remove', jail, '--dry-run', '-q']).stderr;
      }
      assert.equal(
        stderr,
        `jailbuild: warning: process ${sleeper.pid} (sleep) is running in the jail\n`,
      );
    } finally {
      sleeper.kill('SIGKILL');
    }
  });

  test('handles a jail whose name is not UTF-8', needs('bash'), () => {
    const directory = tempDir();
    const commands = [
      'jail=$(printf "bad\\377")',
      'jailbuild() { "$NODE" "$CLI" "$@"; }',
      'jailbuild "$jail" ls --quiet',
      'chmod 700 "$jail/usr/bin/ls"',
      'jailbuild check "$jail" --quiet || echo "check: $?"',
      'jailbuild update "$jail" --quiet --strict',
      'jailbuild check "$jail"',
      'jailbuild why "$jail" ls | head -n 1',
      'jailbuild run "$jail" -- ls -d /usr',
      'jailbuild remove "$jail" --quiet',
      // Mount points of run are kept.
      'find "$jail" -depth -type d -empty -delete',
    ];
    const { stdout, stderr } = exec('bash', ['-ec', commands.join('\n')], {
      cwd: directory,
      env: { ...process.env, NODE: process.execPath, CLI: JAILBUILD },
    });
    assert.match(stdout, /^check: 3\nClean: \d+ entries as built\n\/usr\/bin\/ls\n\/usr\n$/);
    assert.doesNotMatch(stderr, /UTF-8/);
    assert.deepEqual(readdirSync(directory), []);
  });

  test('refuses a directory without a record', () => {
    const directory = tempDir();
    writeFileSync(`${directory}/file`, '');
    fails('RECORD_MISSING', /has no record of a build/, ['remove', directory]);
    assert.deepEqual(readdirSync(directory), ['file']);
  });
});
