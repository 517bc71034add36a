import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import type { Entry, Manifest } from '../../src/manifest/manifest.js';
import { exec, type Finished, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

const PROGRAMS = ['env', 'bash', 'ps', 'ls', 'top'];

describe('a jail for env, bash, ps, ls and top', needsRoot('ps', 'top', 'unshare'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'var/local/jail');
  const manifestFile = path.join(directory, 'manifest.json');
  let built: Finished;
  let manifest: Manifest;

  before(() => {
    built = jailbuild([jail, ...PROGRAMS, '--manifest', manifestFile]);
    assert.equal(built.status, 0, built.stderr);
    manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
  });

  test('is built, with a line `name : [OK]` for each file', () => {
    assert.equal(built.stderr, '');
    assert.equal(built.status, 0);
    const lines = built.stdout.split('\n');
    assert.equal(lines[0], 'Copying ...');
    assert.ok(lines.includes(`${'bash'.padStart(25)} : [OK]`));
    assert.ok(lines.includes(`${'ld.so.cache'.padStart(25)} : [OK]`));
    assert.equal(lines.at(-2), '...... Done');
  });

  const runs: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['env', ['env', 'A=b'], /^A=b$/m],
    ['bash', ['bash', '-c', 'echo $((6 * 7))'], /^42$/],
    ['ls', ['ls', '-l', '/usr/bin/bash'], /rwxr-xr-x.*\/usr\/bin\/bash$/],
    ['ls by its other name', ['/bin/ls', '/etc'], /^ld\.so\.cache$/m],
  ];
  for (const [name, command, expected] of runs) {
    test(`runs ${name} under chroot`, () => {
      const { stdout, stderr, status } = exec('chroot', [jail, ...command]);
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.match(stdout.trim(), expected);
    });
  }

  test('shows only its own processes to ps and top', () => {
    // The jail is built once: a copy gets the mount point that the launcher would create.
    const copy = path.join(directory, 'with-proc');
    exec('cp', ['-a', jail, copy]);
    mkdirSync(path.join(copy, 'proc'));
    const inside = (command: string) =>
      exec('unshare', [
        '--mount',
        '--pid',
        '--fork',
        'sh',
        '-c',
        `mount -t proc proc "$0/proc" && exec chroot "$0" bash -c '${command}'`,
        copy,
      ]);
    const ps = inside('ps -e -o pid=,comm=; true');
    assert.equal(ps.stderr, '');
    assert.deepEqual(
      ps.stdout
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/)[1]),
      ['bash', 'ps'],
    );
    const top = inside('TERM=xterm top -b -n 1; true');
    assert.equal(top.stderr, '');
    assert.match(top.stdout, /PID USER/);
  });

  test('has the attributes of the sources', () => {
    for (const entry of manifest.entries) {
      // Generated for the jail.
      if (entry.source === undefined) continue;
      const copy = lstatSync(path.join(jail, entry.path), { bigint: true });
      const source = lstatSync(entry.source, { bigint: true });
      assert.equal(copy.mode, source.mode, entry.path);
      assert.equal(copy.uid, source.uid, entry.path);
      assert.equal(copy.gid, source.gid, entry.path);
      assert.equal(copy.mtimeNs, source.mtimeNs, entry.path);
      if (entry.type === 'symlink') {
        assert.equal(readlinkSync(path.join(jail, entry.path)), readlinkSync(entry.source));
      }
      if (entry.type === 'file') {
        assert.equal(sha256(path.join(jail, entry.path)), entry.digest, entry.path);
      }
    }
  });

  test('keeps the merged-/usr layout of the host', () => {
    for (const link of ['/bin', '/lib', '/lib64']) {
      const isLink = lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
      assert.equal(
        lstatSync(path.join(jail, link), { throwIfNoEntry: false })?.isSymbolicLink() ?? false,
        isLink,
        link,
      );
    }
  });

  test('contains descriptions of common terminals', () => {
    const names = manifest.entries.flatMap(({ reasons }) =>
      reasons.flatMap((reason) => (reason.kind === 'terminfo' ? [reason.name] : [])),
    );
    assert.ok(names.includes('xterm'));
    assert.ok(names.includes('linux'));
  });

  test('contains exactly what the manifest lists, and its record', () => {
    const own = ['.jailbuild', '.jailbuild/record.json'];
    const listed = ['.', ...own, ...manifest.entries.map((entry) => entry.path.slice(1))];
    const { '.jailbuild/fingerprint': _, ...found } = snapshot(jail);
    assert.deepEqual(Object.keys(found).sort(), listed.sort());
  });

  test('is planned the same by every run, for any target', () => {
    const other = path.join(directory, 'other');
    const dryRun = jailbuild([other, ...PROGRAMS, '--dry-run', '--format', 'json']);
    assert.equal(dryRun.status, 0);
    assert.equal(dryRun.stdout, readFileSync(manifestFile, 'utf8'));
    assert.equal(existsSync(other), false);
  });

  test('does not change in a second build', () => {
    const before = snapshot(jail);
    const { status, stdout } = jailbuild([jail, ...PROGRAMS, '--json']);
    assert.equal(status, 0);
    assert.deepEqual(snapshot(jail), before);
    const actions = new Set(
      JSON.parse(stdout).files.map(({ action }: { action: string }) => action),
    );
    assert.deepEqual([...actions], ['unchanged']);
    const types = (files: readonly { path: string; type: string }[]) =>
      files.map(({ path, type }) => `${path} ${type}`).sort();
    assert.deepEqual(types(JSON.parse(stdout).files), types(manifest.entries));
  });

  test('--no-clobber keeps a file that differs and prints [SKIPPED]', () => {
    const own = path.join(jail, realpathSync('/bin/ls'));
    writeFileSync(own, 'my own ls');
    const kept = jailbuild([jail, 'ls', '-n']);
    // A jail in which ls does not run as ls fails its verification.
    assert.notEqual(kept.status, 0);
    assert.match(kept.stdout, /^ +ls : \[SKIPPED\]/m);
    assert.equal(readFileSync(own, 'utf8'), 'my own ls');

    const replaced = jailbuild([jail, 'ls']);
    assert.equal(replaced.status, 0);
    assert.equal(sha256(own), sha256('/bin/ls'));
  });

  test('--no-clobber keeps an older program that still runs', () => {
    const own = path.join(jail, realpathSync('/bin/ls'));
    utimesSync(own, 1_000_000_000, 1_000_000_000);
    const kept = jailbuild([jail, 'ls', '--no-clobber']);
    assert.equal(kept.status, 0, kept.stderr);
    assert.match(kept.stdout, /^ +ls : \[SKIPPED\]/m);
    assert.equal(lstatSync(own).mtimeMs, 1_000_000_000_000);
  });
});

test('a dry run writes nothing and prints why each file is needed', () => {
  const directory = tempDir();
  const { status, stdout, stderr } = jailbuild([path.join(directory, 'jail'), 'ls', '--dry-run']);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.match(stdout, /^MODE +OWNER +SIZE +SHA256 +PATH +REASONS$/m);
  assert.match(stdout, /\/bin\/ls .*requested as ls$/m);
  assert.match(stdout, /libc\.so\.6 .*needed by .*\[ld\.so\.cache\]/m);
  assert.deepEqual(Object.keys(snapshot(directory)), ['.']);
});

test('--terminfo and --ld-cache choose what is added', () => {
  const plan = (...args: string[]): Manifest =>
    JSON.parse(jailbuild(['/nonexistent/jail', 'ls', '--dry-run', '--json', ...args]).stdout);
  const kinds = ({ entries }: Manifest) =>
    new Set(entries.flatMap(({ reasons }: Entry) => reasons.map(({ kind }) => kind)));

  assert.equal(kinds(plan('--terminfo', 'none')).has('terminfo'), false);
  assert.equal(kinds(plan('--ld-cache', 'none')).has('ld-cache'), false);
  const named = plan('--terminfo', 'vt100,dumb').entries.flatMap(({ reasons }) =>
    reasons.flatMap((reason) => (reason.kind === 'terminfo' ? [reason.name] : [])),
  );
  assert.deepEqual(named.sort(), ['dumb', 'vt100']);
});

test('--quiet prints nothing, --verbose every entry with its path', needsRoot(), () => {
  const directory = tempDir();
  const quiet = jailbuild([path.join(directory, 'quiet'), 'ls', '--quiet']);
  assert.deepEqual([quiet.status, quiet.stdout, quiet.stderr], [0, '', '']);
  const verbose = jailbuild([path.join(directory, 'verbose'), 'ls', '--verbose']);
  assert.equal(verbose.status, 0, verbose.stderr);
  assert.match(verbose.stdout, /^\/usr : \[OK\] created$/m);
  assert.match(verbose.stdout, /^Verified: the programs find all of their \d+ files/m);
});

test('on a terminal the task list is live, and short at the end', needsRoot('script'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const command = `stty cols 100 rows 30; '${process.execPath}' dist/jailbuild.cjs ${jail} ls bash`;
  const { stdout, status } = exec('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
  });
  assert.equal(status, 0);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with ESC
  assert.doesNotMatch(stdout, /\u001b\[3\dm/);
  for (const line of ['Resolved 2 programs', 'Planned ', `Wrote ${jail}: `, 'Verified: ']) {
    assert.ok(stdout.includes(`✔ ${line}`), line);
  }
});

function sha256(file: string): string {
  return `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
}
