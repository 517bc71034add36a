import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild, withoutNative } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

/** Creates a host of ls, bash and true with an nsswitch.conf, and a jail of programs from it. */
function setUp(...programs: readonly string[]) {
  const directory = tempDir();
  const host = makeSysroot(directory, 'ls', 'bash', 'true');
  const jail = path.join(directory, 'jail');
  ok([jail, ...programs, '--sysroot', host, '-q']);
  return { directory, host, jail };
}

function ok(args: readonly string[]): { readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = jailbuild(args);
  assert.equal(status, 0, stderr);
  return { stdout, stderr };
}

function find(root: string, name: string): string {
  const { stdout } = exec('find', [root, '-name', name, '-printf', '/%P']);
  return realpathSync(root + stdout).slice(root.length);
}

function recordOf(jail: string) {
  return JSON.parse(readFileSync(`${jail}/.jailbuild/record.json`, 'utf8'));
}

/** Returns the tree with the inodes of its files, without the record. */
function filesOf(jail: string): Record<string, string> {
  const all = Object.entries(snapshot(jail));
  return Object.fromEntries(all.filter(([name]) => !name.startsWith('.jailbuild')));
}

/** Gives a file other content of the same size, and restores its times. */
function forge(file: string): void {
  const { atimeNs, mtimeNs } = lstatSync(file, { bigint: true });
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1);
  writeFileSync(file, bytes);
  const at = (nanoseconds: bigint) =>
    `@${nanoseconds / 10n ** 9n}.${String(nanoseconds % 10n ** 9n).padStart(9, '0')}`;
  exec('touch', ['-m', '-d', at(mtimeNs), file]);
  exec('touch', ['-a', '-d', at(atimeNs), file]);
  assert.equal(lstatSync(file, { bigint: true }).mtimeNs, mtimeNs);
}

describe('update', needsRoot(), () => {
  test('replaces a file with changed content but unchanged size and times', () => {
    const { host, jail } = setUp('ls');
    const ls = find(jail, 'ls');
    const genuine = readFileSync(jail + ls);
    forge(jail + ls);
    const { stdout, stderr } = ok(['update', jail]);
    assert.match(stdout, new RegExp(`^~ ${ls}\n1 change\n$`));
    assert.match(stderr, new RegExp(`${ls}: was changed in the jail and is replaced`));
    assert.deepEqual(readFileSync(jail + ls), genuine);
    assert.match(ok(['update', jail]).stdout, /^Up to date/);

    forge(jail + ls);
    ok([jail, 'ls', '--sysroot', host, '-q']);
    assert.deepEqual(readFileSync(jail + ls), genuine);
  });

  test('only reads a file whose attributes were changed and restored', () => {
    const { jail } = setUp('ls');
    const ls = find(jail, 'ls');
    chmodSync(jail + ls, 0o700);
    chmodSync(jail + ls, 0o755);
    const before = filesOf(jail);
    assert.match(ok(['update', jail]).stdout, /^Up to date/);
    assert.deepEqual(filesOf(jail), before);
  });

  test('changes nothing if nothing has changed, not even the record', () => {
    const { jail } = setUp('ls');
    const state = () => {
      const { '.jailbuild/fingerprint': _, ...all } = snapshot(jail);
      return all;
    };
    const before = state();
    const { stdout, stderr } = ok(['update', jail]);
    assert.match(stdout, /^Up to date: \d+ entries\n$/);
    assert.equal(stderr, '');
    assert.deepEqual(state(), before);
  });

  test('replaces what has changed on the host and touches nothing else', () => {
    const { host, jail } = setUp('ls', 'bash');
    const libc = find(host, 'libc.so.6');
    appendFileSync(host + libc, 'newer');
    // Not the newest of the libraries, which determines the time of the loader cache.
    utimesSync(host + libc, 1_500_000_000, 1_500_000_000);
    const before = filesOf(jail);
    const dry = ok(['update', jail, '--dry-run']);
    assert.deepEqual(filesOf(jail), before);
    const { stdout } = ok(['update', jail]);
    assert.equal(stdout, dry.stdout);
    assert.equal(stdout, `~ ${libc}\n1 change\n`);
    const after = filesOf(jail);
    const differing = Object.keys(after).filter((name) => after[name] !== before[name]);
    assert.deepEqual(differing, [libc.slice(1)]);
    assert.deepEqual(readFileSync(jail + libc), readFileSync(host + libc));
    assert.match(ok(['update', jail]).stdout, /^Up to date/);
    assert.match(ok(['check', jail]).stdout, /^Clean/);
  });

  test('adds what programs need now, and removes what they no longer need', () => {
    const { host, jail } = setUp('bash', 'true');
    const tinfo = find(host, 'libtinfo.so.6');
    // bash is replaced by a program that only needs the C library, true by one that needs more.
    copyFileSync(`${host}/usr/bin/true`, `${host}/usr/bin/bash`);
    const { stdout } = ok(['update', jail, '--json']);
    const { changes } = JSON.parse(stdout);
    const of = (action: string) =>
      changes.flatMap((change: { action: string; path: string }) =>
        change.action === action ? [change.path] : [],
      );
    assert.ok(of('removed').includes(tinfo), stdout);
    assert.ok(of('replaced').includes('/usr/bin/bash'));
    assert.equal(existsSync(jail + tinfo), false);
    assert.deepEqual(recordOf(jail).former, []);
    copyFileSync(`${host}/usr/bin/ls`, `${host}/usr/bin/true`);
    const added = JSON.parse(ok(['update', jail, '--json']).stdout).changes;
    assert.ok(
      added.some(
        ({ action, path: at }: { action: string; path: string }) =>
          action === 'added' && /libselinux/.test(at),
      ),
    );
    assert.match(ok(['check', jail]).stdout, /^Clean/);
  });

  test('restores the mode and owner of directories it created, and of no others', () => {
    const { directory, host } = setUp('ls');
    const jail = path.join(directory, 'other');
    mkdirSync(`${jail}/etc`, { recursive: true });
    chmodSync(`${jail}/etc`, 0o750);
    ok([jail, 'ls', '--sysroot', host, '-q']);
    chmodSync(`${jail}/usr/bin`, 0o777);
    chownSync(`${jail}/usr`, 1234, 1234);
    assert.match(ok(['update', jail, '--keep-changed']).stdout, /^Up to date/);
    const dry = ok(['update', jail, '--dry-run']);
    assert.equal(dry.stdout, '~ /usr\n~ /usr/bin\n2 changes\n');
    assert.equal(ok(['update', jail]).stdout, dry.stdout);
    assert.equal(lstatSync(`${jail}/usr/bin`).mode & 0o7777, 0o755);
    assert.equal(lstatSync(`${jail}/usr`).uid, 0);
    assert.equal(lstatSync(`${jail}/etc`).mode & 0o7777, 0o750);
    assert.match(ok(['check', jail]).stdout, /^Clean/);
    assert.match(ok(['update', jail]).stdout, /^Up to date/);
  });

  for (const engine of ['native', 'node']) {
    test(`follows files that become directories, and the reverse (${engine})`, () => {
      const { directory, host } = setUp('ls');
      const program = engine === 'node' ? withoutNative(directory) : JAILBUILD;
      const updateJail = () => exec(process.execPath, [program, 'update', jail]);
      const jail = path.join(directory, 'other');
      const update = () => {
        const { status, stdout, stderr } = updateJail();
        assert.equal(status, 0, stderr);
        assert.match(ok(['check', jail]).stdout, /^Clean/);
        return stdout;
      };
      mkdirSync(`${host}/opt`);
      writeFileSync(`${host}/opt/data`, 'one');
      ok([jail, 'ls', '--include', '/opt/data', '--sysroot', host, '-q']);
      rmSync(`${host}/opt/data`);
      mkdirSync(`${host}/opt/data/inner`, { recursive: true });
      writeFileSync(`${host}/opt/data/inner/file`, 'two');
      const inner = '/opt/data/inner';
      assert.equal(update(), `~ /opt/data\n+ ${inner}\n+ ${inner}/file\n3 changes\n`);
      assert.equal(readFileSync(`${jail}${inner}/file`, 'utf8'), 'two');
      rmSync(`${host}/opt/data`, { recursive: true });
      writeFileSync(`${host}/opt/data`, 'three');
      writeFileSync(`${jail}${inner}/mine`, 'mine');
      const refused = updateJail();
      assert.equal(refused.status, 1);
      assert.match(
        refused.stderr,
        /opt\/data: is a directory in the jail, but the plan has a file/,
      );
      assert.equal(readFileSync(`${jail}${inner}/file`, 'utf8'), 'two');
      rmSync(`${jail}${inner}/mine`);
      assert.equal(update(), `~ /opt/data\n- ${inner}\n- ${inner}/file\n3 changes\n`);
      assert.equal(readFileSync(`${jail}/opt/data`, 'utf8'), 'three');
      assert.match(update(), /^Up to date/);
    });
  }

  test("keeps the user's files, and the directories that contain them", () => {
    const { host, jail } = setUp('bash');
    const terminfo = path.dirname(find(jail, 'xterm'));
    writeFileSync(`${jail}${terminfo}/my-terminal`, 'mine');
    mkdirSync(`${jail}/home/user`, { recursive: true });
    writeFileSync(`${jail}/home/user/notes`, 'mine');
    rmSync(`${host}${path.dirname(terminfo)}`, { recursive: true });
    const { stdout } = ok(['update', jail]);
    assert.match(stdout, new RegExp(`^- ${terminfo}/xterm$`, 'm'));
    assert.equal(readFileSync(`${jail}${terminfo}/my-terminal`, 'utf8'), 'mine');
    assert.equal(readFileSync(`${jail}/home/user/notes`, 'utf8'), 'mine');
    assert.ok(recordOf(jail).former.some((entry: { path: string }) => entry.path === terminfo));
    // The directory is removed once they are gone.
    rmSync(`${jail}${terminfo}/my-terminal`);
    assert.match(ok(['update', jail]).stdout, new RegExp(`^- ${terminfo}$`, 'm'));
  });

  test('warns about changed files: replaces programs and keeps configuration', () => {
    const { host, jail } = setUp('ls');
    writeFileSync(`${host}/etc/nsswitch.conf`, 'passwd: files\n');
    ok(['update', jail, '-q']);
    writeFileSync(`${jail}/etc/nsswitch.conf`, 'passwd: files # mine\n');
    appendFileSync(`${jail}/usr/bin/ls`, 'mine');
    const { stdout, stderr } = ok(['update', jail]);
    assert.equal(stdout, '= /etc/nsswitch.conf\n~ /usr/bin/ls\n1 change\n');
    assert.match(stderr, /warning: \/etc\/nsswitch\.conf: was changed .* and is kept\n/);
    assert.match(stderr, /warning: \/usr\/bin\/ls: was changed .* and is replaced\n/);
    assert.match(readFileSync(`${jail}/etc/nsswitch.conf`, 'utf8'), /mine/);
    assert.deepEqual(recordOf(jail).kept, ['/etc/nsswitch.conf']);
    // It stays the user's, even if the host's changes and the jail is built again.
    writeFileSync(`${host}/etc/nsswitch.conf`, 'passwd: files dns\n');
    ok(['update', jail, '-q']);
    ok([jail, 'ls', '-q']);
    assert.match(readFileSync(`${jail}/etc/nsswitch.conf`, 'utf8'), /mine/);
    ok(['update', jail, '--replace-changed', '-q']);
    assert.equal(readFileSync(`${jail}/etc/nsswitch.conf`, 'utf8'), 'passwd: files dns\n');
    assert.deepEqual(recordOf(jail).kept, []);
  });

  test('--keep-changed keeps changed programs as well', () => {
    const { host, jail } = setUp('ls');
    utimesSync(`${jail}/usr/bin/ls`, 1, 1);
    appendFileSync(`${host}/usr/bin/ls`, 'newer');
    assert.match(ok(['update', jail, '--keep-changed']).stdout, /^= \/usr\/bin\/ls$/m);
    assert.equal(lstatSync(`${jail}/usr/bin/ls`).mtimeMs, 1000);
    // Later updates keep it as well.
    ok(['update', jail, '-q']);
    assert.equal(lstatSync(`${jail}/usr/bin/ls`).mtimeMs, 1000);
  });

  test('keeps changed files that are no longer needed', () => {
    const { host, jail } = setUp('bash');
    const tinfo = find(jail, 'libtinfo.so.6');
    appendFileSync(jail + tinfo, 'mine');
    copyFileSync(`${host}/usr/bin/true`, `${host}/usr/bin/bash`);
    const { stdout, stderr } = ok(['update', jail]);
    assert.doesNotMatch(stdout, new RegExp(`^. ${tinfo}$`, 'm'));
    assert.ok(stderr.includes(`${tinfo}: was changed in the jail and is left\n`));
    assert.ok(existsSync(jail + tinfo));
  });

  test('does the same from another directory and with another PATH and TERM', () => {
    const { jail } = setUp('ls');
    const before = snapshot(jail);
    const { status, stdout } = jailbuild(['update', jail], {
      cwd: '/',
      env: { PATH: '/nowhere', TERM: 'vt220' },
    });
    assert.equal(status, 0);
    assert.match(stdout, /^Up to date/);
    assert.deepEqual(snapshot(jail), before);
  });

  test('does not change the jail if it fails', () => {
    const { host, jail } = setUp('ls');
    const before = snapshot(jail);
    rmSync(find(host, 'libc.so.6').replace(/^/, host));
    fails('LIBRARY_NOT_FOUND', /^libc\.so\.6: library not found, needed by .*$/, ['update', jail]);
    assert.deepEqual(snapshot(jail), before);
  });

  test('refuses a directory without a record', () => {
    fails('RECORD_MISSING', /has no record of a build/, ['update', tempDir()]);
  });
});

describe('building again', needsRoot(), () => {
  test('extends what the jail was built for', () => {
    const { host, jail } = setUp('ls');
    const before = filesOf(jail);
    ok([jail, 'bash', '--sysroot', host, '-q']);
    const after = filesOf(jail);
    for (const name of Object.keys(before)) {
      // The loader cache lists the new libraries as well.
      if (name !== 'etc/ld.so.cache') assert.equal(after[name], before[name], name);
    }
    assert.deepEqual(recordOf(jail).request.programs, ['ls', 'bash']);
    assert.deepEqual(recordOf(jail).manifest.request.programs, ['ls', 'bash']);
    assert.deepEqual(recordOf(jail).found, []);
    assert.match(ok(['update', jail]).stdout, /^Up to date/);
  });

  test('changes nothing if nothing is new', () => {
    const { host, jail } = setUp('ls', 'bash');
    const before = snapshot(jail);
    ok([jail, 'bash', '--sysroot', host, '-q']);
    ok([jail, 'ls', '-q']);
    assert.deepEqual(snapshot(jail), before);
  });

  test('leaves the removal of unneeded files to update', () => {
    const { host, jail } = setUp('bash', 'true');
    const tinfo = find(jail, 'libtinfo.so.6');
    copyFileSync(`${host}/usr/bin/true`, `${host}/usr/bin/bash`);
    ok([jail, 'true', '-q']);
    assert.ok(existsSync(jail + tinfo));
    assert.ok(recordOf(jail).former.some((entry: { path: string }) => entry.path === tinfo));
    assert.match(ok(['update', jail]).stdout, new RegExp(`^- ${tinfo}$`, 'm'));
  });

  test('is refused from another root', () => {
    const { jail } = setUp('ls');
    fails('SYSROOT_DIFFERS', /--sysroot \/usr: the jail was built from .*\/host: use/, [
      jail,
      'ls',
      '--sysroot',
      '/usr',
    ]);
  });

  test('records existing files as not created by jailbuild, until it replaces them', () => {
    const directory = tempDir();
    const host = makeSysroot(directory, 'ls');
    const jail = path.join(directory, 'jail');
    ok([jail, 'ls', '--sysroot', host, '-q', '--no-record']);
    assert.equal(existsSync(`${jail}/.jailbuild`), false);
    ok([jail, 'ls', '--sysroot', host, '-q']);
    const { found, manifest } = recordOf(jail);
    assert.deepEqual(
      found,
      manifest.entries.map((entry: { path: string }) => entry.path),
    );
    appendFileSync(`${host}/usr/bin/ls`, 'newer');
    assert.match(ok(['update', jail]).stdout, /^~ \/usr\/bin\/ls$/m);
    assert.equal(recordOf(jail).found.includes('/usr/bin/ls'), false);
  });

  test('is refused if others could have written the record', () => {
    const { jail } = setUp('ls');
    chmodSync(`${jail}/.jailbuild/record.json`, 0o666);
    for (const args of [
      [jail, 'ls'],
      ['update', jail],
      ['check', jail],
      ['remove', jail],
    ]) {
      fails(
        'RECORD_REFUSED',
        /^.*record\.json: is writable by users other than its owner.*$/,
        args,
      );
    }
  });

  test('keeps the programs of two concurrent builds', async () => {
    const { host, jail } = setUp('true');
    const { execa } = await import('execa');
    const { JAILBUILD } = await import('../support/cli.js');
    const both = ['ls', 'bash'].map((name) =>
      execa(process.execPath, [JAILBUILD, jail, name, '--sysroot', host, '--wait', '-q']),
    );
    await Promise.all(both);
    assert.deepEqual([...recordOf(jail).request.programs].sort(), ['bash', 'ls', 'true']);
    assert.match(ok(['check', jail]).stdout, /^Clean/);
  });
});
