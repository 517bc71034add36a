import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';

interface PlainEntry {
  path: string;
  type: string;
  mode: string;
  source?: string;
  digest?: string;
  target?: string;
  content?: string;
  [name: string]: unknown;
}

interface PlainManifest {
  entries: PlainEntry[];
  [name: string]: unknown;
}

function ok(args: readonly string[]): string {
  const { status, stdout, stderr } = jailbuild(args);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Creates a host of ls and bash, and the manifest of a jail of both. */
function setUp() {
  const directory = tempDir();
  const host = makeSysroot(directory, 'ls', 'bash');
  const file = path.join(directory, 'manifest.json');
  const jail = path.join(directory, 'jail');
  const text = ok([jail, 'ls', 'bash', '--sysroot', host, '--dry-run', '--format', 'json']);
  writeFileSync(file, text);
  const from = (...more: readonly string[]) =>
    jailbuild([jail, '--from', file, '--sysroot', host, ...more]);
  return { directory, host, jail, file, text, from };
}

function edited(file: string, edit: (manifest: PlainManifest) => void): void {
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as PlainManifest;
  edit(manifest);
  writeFileSync(file, JSON.stringify(manifest));
}

function entryOf({ entries }: PlainManifest, end: string): PlainEntry {
  const found = entries.find((entry) => entry.path.endsWith(end));
  assert.ok(found, end);
  return found;
}

/** Returns types, modes, owners, times, link targets and digests of everything but the record. */
function listing(root: string): string {
  const { status, stdout } = exec('sh', [
    '-c',
    `cd "$1" && find . -mindepth 1 -path ./.jailbuild -prune -o \\
      -printf '%P %y %m %U %G %T@ %l\\n' | sort &&
     find . -path ./.jailbuild -prune -o -type f -print0 | sort -z | xargs -0 sha256sum`,
    'sh',
    root,
  ]);
  assert.equal(status, 0);
  return stdout;
}

describe('build --from', needsRoot(), () => {
  test('creates the tree and the manifest of the original request', () => {
    const { directory, host, jail, text, from } = setUp();
    const first = path.join(directory, 'first');
    const noted = path.join(directory, 'noted.json');
    ok([first, 'ls', 'bash', '--sysroot', host, '-q', '--manifest', noted]);
    assert.equal(readFileSync(noted, 'utf8'), text);
    const again = path.join(directory, 'again.json');
    const { status, stderr } = from('-q', '--manifest', again);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.equal(readFileSync(again, 'utf8'), text);
    assert.equal(listing(jail), listing(first));
    assert.equal(exec('chroot', [jail, '/usr/bin/ls', '/usr/bin/ls']).stdout, '/usr/bin/ls\n');
  });

  test('accepts a source with another time, mode and owner if its content matches', () => {
    const { directory, host, jail, file, from } = setUp();
    const first = path.join(directory, 'first');
    ok([first, 'ls', 'bash', '--sysroot', host, '-q']);
    utimesSync(`${host}/usr/bin/ls`, 1, 1);
    chmodSync(`${host}/usr/bin/ls`, 0o700);
    assert.equal(from('-q').status, 0);
    assert.equal(listing(jail), listing(first));
    assert.match(ok(['check', jail]), /^Clean/);
    assert.equal(JSON.parse(readFileSync(`${jail}/.jailbuild/record.json`, 'utf8')).from, file);
  });

  const differences: readonly (readonly [string, (host: string) => void, RegExp])[] = [
    [
      'a changed size',
      (host) => appendFileSync(`${host}/usr/bin/ls`, 'x'),
      /\/usr\/bin\/ls: has the size \d+, but the manifest has \d+/,
    ],
    [
      'a changed digest, with the same size and time',
      (host) => {
        const at = `${host}/usr/bin/ls`;
        const { atime, mtime } = lstatSync(at);
        const bytes = readFileSync(at);
        bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
        writeFileSync(at, bytes);
        utimesSync(at, atime, mtime);
      },
      /\/usr\/bin\/ls: has the digest sha256:[0-9a-f]{64}, but the manifest has sha256:[0-9a-f]{64}/,
    ],
    [
      'a changed type',
      (host) => {
        rmSync(`${host}/usr/bin/ls`);
        symlinkSync('bash', `${host}/usr/bin/ls`);
      },
      /\/usr\/bin\/ls: is of type symlink, but the manifest has file/,
    ],
    ['a missing file', (host) => rmSync(`${host}/usr/bin/ls`), /\/usr\/bin\/ls: does not exist/],
    [
      'a changed link target',
      (host) => {
        rmSync(`${host}/lib64`);
        symlinkSync('/usr/lib64', `${host}/lib64`);
      },
      /\/lib64: leads to \/usr\/lib64, but the manifest has usr\/lib64/,
    ],
    [
      'a directory behind a link',
      (host) => {
        renameSync(`${host}/usr/bin`, `${host}/usr/programs`);
        symlinkSync('programs', `${host}/usr/bin`);
      },
      /\/usr\/bin: is of type symlink, but the manifest has directory/,
    ],
  ];
  for (const [what, change, message] of differences) {
    test(`reports ${what}, and writes nothing`, () => {
      const { directory, host, jail, from } = setUp();
      change(host);
      const { status, stderr } = from();
      assert.equal(status, 1);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
      assert.equal(existsSync(jail), false);
      assert.equal(JSON.parse(from('--json').stdout).error.code, 'DIGEST_MISMATCH');
      assert.equal(existsSync(path.join(directory, '.jail.jailbuild')), false);
    });
  }

  const refusals: readonly (readonly [string, (manifest: PlainManifest) => void, RegExp])[] = [
    [
      'a file without a digest',
      (manifest) => {
        delete entryOf(manifest, '/bin/ls').digest;
      },
      /\/usr\/bin\/ls: has no digest/,
    ],
    [
      'a path that leads outside of the jail',
      (manifest) => {
        entryOf(manifest, '/bin/ls').path = '/usr/bin/../../../ls';
      },
      /contains the name "\.\."/,
    ],
    [
      'a source that leads outside of the sysroot',
      (manifest) => {
        entryOf(manifest, '/bin/ls').source = '/../../etc/shadow';
      },
      /contains the name "\.\."/,
    ],
    [
      "the jail's record",
      ({ entries }) => {
        const [first] = entries;
        assert.ok(first);
        entries.unshift({ ...first, path: '/.jailbuild' });
      },
      /\/\.jailbuild: is reserved for the jail's record/,
    ],
    [
      'a file below a symbolic link',
      (manifest) => {
        entryOf(manifest, '/bin/ls').path = '/lib64/ls';
      },
      /\/lib64\/ls has no parent directory \/lib64/,
    ],
    [
      'content that does not match its digest',
      (manifest) => {
        const entry = entryOf(manifest, '/bin/ls');
        delete entry.source;
        Object.assign(entry, { content: Buffer.from('x').toString('base64'), size: 1 });
      },
      /\/usr\/bin\/ls: content has the digest/,
    ],
    [
      'a hard link to a different file',
      (manifest) => {
        entryOf(manifest, '/bin/ls').hardlink = '/usr/bin/bash';
      },
      /\/usr\/bin\/ls: is a hard link to \/usr\/bin\/bash with another digest/,
    ],
  ];
  for (const [what, edit, message] of refusals) {
    test(`refuses ${what}`, () => {
      const { jail, file, from } = setUp();
      edited(file, edit);
      const { status, stderr } = from();
      assert.equal(status, 1);
      assert.match(stderr, message);
      assert.equal(existsSync(jail), false);
    });
  }

  test('does not follow symbolic links of the sysroot to a source', () => {
    const { directory, host, jail, file, from } = setUp();
    mkdirSync(path.join(directory, 'secret'));
    writeFileSync(path.join(directory, 'secret/key'), 'key');
    symlinkSync(path.join(directory, 'secret'), `${host}/opt`);
    edited(file, (manifest) => {
      entryOf(manifest, '/bin/ls').source = '/opt/key';
    });
    const { status, stderr } = from();
    assert.equal(status, 1);
    assert.match(stderr, /\/opt\/key: does not exist/);
    assert.equal(existsSync(jail), false);
  });

  test('changes a jail to another manifest, and removes what that lacks', () => {
    const { host, jail, file, from } = setUp();
    assert.equal(from('-q').status, 0);
    writeFileSync(`${jail}/usr/mine`, 'mine');
    const other = jailbuild([
      ...[`${jail}2`, 'ls', '--sysroot', host, '--dry-run', '--format', 'json'],
    ]);
    writeFileSync(file, other.stdout);
    const { status, stderr } = from('-q');
    assert.equal(status, 0, stderr);
    assert.equal(existsSync(`${jail}/usr/bin/bash`), false);
    assert.equal(existsSync(`${jail}/usr/bin/ls`), true);
    assert.equal(readFileSync(`${jail}/usr/mine`, 'utf8'), 'mine');
    assert.match(ok(['check', jail]), /^Clean/);
  });

  test('replaces files that only resemble those of the manifest', () => {
    const { host, jail, from } = setUp();
    assert.equal(from('-q').status, 0);
    const at = `${jail}/usr/bin/ls`;
    const { mtimeNs } = lstatSync(at, { bigint: true });
    const bytes = readFileSync(at);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(at, bytes);
    const nanos = String(mtimeNs % 1_000_000_000n).padStart(9, '0');
    const time = `@${mtimeNs / 1_000_000_000n}.${nanos}`;
    assert.equal(exec('touch', ['-m', '-d', time, at]).status, 0);
    const inode = lstatSync(`${jail}/usr/bin/bash`).ino;
    const { status, stderr } = from('-q');
    assert.equal(status, 0, stderr);
    assert.deepEqual(readFileSync(at), readFileSync(`${host}/usr/bin/ls`));
    assert.equal(lstatSync(`${jail}/usr/bin/bash`).ino, inode);
  });

  test('keeps jails of manifests and of programs apart', () => {
    const { host, jail, from } = setUp();
    assert.equal(from('-q').status, 0);
    for (const args of [
      ['update', jail],
      ['update', jail, '--dry-run'],
      [jail, 'ls', '--sysroot', host],
    ]) {
      fails(
        'RECORD_DIFFERS',
        /was built from the manifest .*manifest\.json: rebuild it with build --from, or/,
        args,
      );
    }
    ok(['remove', jail]);
    ok([jail, 'ls', '--sysroot', host, '-q']);
    const { status, stderr } = from();
    assert.equal(status, 1);
    assert.match(stderr, /was built from programs, not from a manifest/);
  });

  test('refuses options that would change the jail', () => {
    const { from } = setUp();
    for (const more of [['ls'], ['--include', '/etc/hosts'], ['--link'], ['--nss', 'none']]) {
      const { status, stderr } = from(...more);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /--from and .* cannot be combined/);
    }
  });

  test('compares and writes nothing with --dry-run', () => {
    const { host, jail, text, from } = setUp();
    assert.equal(from('--dry-run', '--format', 'json').stdout, text);
    appendFileSync(`${host}/usr/bin/ls`, 'x');
    assert.equal(from('--dry-run').status, 1);
    assert.equal(existsSync(jail), false);
  });
});
