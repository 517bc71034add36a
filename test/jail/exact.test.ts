import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { writeJail } from '../../src/jail/write/write.js';
import type { Manifest } from '../../src/manifest/manifest.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { manifestOf, scratch } from './support.js';

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = exec(file, args);
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Returns the differences between two trees that an independent tool reports. */
function differences(from: string, to: string): string {
  return run('rsync', '-aHAXnc', '-i', '--delete', `${from}/`, `${to}/`)
    .split('\n')
    .filter((line) => !line.endsWith(' ./'))
    .join('\n');
}

/** Creates a host with one of everything that a file system stores. */
function makeHost(t: TestContext): string {
  const host = scratch(t);
  const at = (name: string) => path.join(host, name);
  for (const name of ['bin', 'dev', 'var/tmp', 'shared', 'deep/a/b']) {
    mkdirSync(at(name), { recursive: true });
  }
  for (const [name, mode] of Object.entries({ suid: 0o4755, sgid: 0o2711, both: 0o6750 })) {
    writeFileSync(at(`bin/${name}`), name);
    chownSync(at(`bin/${name}`), 12, 34);
    chmodSync(at(`bin/${name}`), mode);
  }
  chmodSync(at('var/tmp'), 0o1777);
  chownSync(at('shared'), 1234, 5678);
  chmodSync(at('shared'), 0o2770);
  writeFileSync(at('bin/one'), 'the same file');
  linkSync(at('bin/one'), at('bin/two'));
  linkSync(at('bin/one'), at('deep/a/three'));
  symlinkSync('one', at('bin/link'));
  run('chown', '-h', '77:88', at('bin/link'));
  writeFileSync(at('bin/empty'), '');
  const sparse = openSync(at('sparse'), 'w');
  writeSync(sparse, 'start', 0);
  writeSync(sparse, 'middle', 5 << 20);
  closeSync(sparse);
  truncateSync(at('sparse'), 20 << 20);
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 3 << 20);
  writeFileSync(at('bin/ping'), 'ping');
  run('setcap', 'cap_net_raw=ep', at('bin/ping'));
  run('setfattr', '-n', 'user.note', '-v', 'a\u00e9b', at('bin/empty'));
  run('setfattr', '-n', 'trusted.note', '-v', '0x000102', at('bin/empty'));
  run('setfacl', '-m', 'u:1234:rx,g:99:r', at('bin/one'));
  run('setfacl', '-d', '-m', 'u:4321:rwx', at('shared'));
  run('setfattr', '-n', 'user.where', '-v', 'here', at('deep'));
  run('mkfifo', '-m', '640', at('dev/fifo'));
  run('mknod', '-m', '666', at('dev/null'), 'c', '1', '3');
  run('mknod', '-m', '660', at('dev/loop'), 'b', '7', '9');
  run(
    'find',
    host,
    '-mindepth',
    '1',
    '-exec',
    'touch',
    '-h',
    '-d',
    '@1500000000.123456789',
    '{}',
    '+',
  );
  return host;
}

function assertSame(manifest: Manifest, host: string, jail: string): void {
  assert.equal(differences(host, jail), '');
  for (const { path: at, type } of manifest.entries) {
    const [from, to] = [host, jail].map((root) => lstatSync(root + at, { bigint: true }));
    assert.equal(to?.mtimeNs, from?.mtimeNs, at);
    assert.equal(to?.mode, from?.mode, at);
    assert.equal(to?.nlink, from?.nlink, at);
    if (type === 'file') assert.equal(to?.blocks, from?.blocks, at);
  }
}

describe('an exact copy', needsRoot('rsync', 'setcap', 'setfacl', 'setfattr'), () => {
  test('is made in a new jail', async (t) => {
    const host = makeHost(t);
    const jail = path.join(scratch(t), 'jail');
    const manifest = manifestOf(host);
    const warnings: string[] = [];
    await writeJail(manifest, jail, {
      sourceRoot: host,
      strict: true,
      onWarning: (message) => warnings.push(message),
    });
    assert.deepEqual(warnings, []);
    assertSame(manifest, host, jail);
    assert.ok(lstatSync(`${jail}/sparse`).blocks * 512 < 1 << 20);
    assert.equal(run('getcap', `${jail}/bin/ping`), `${jail}/bin/ping cap_net_raw=ep\n`);
  });

  test('is made in an existing jail with missing and wrong files and default ACLs', async (t) => {
    const host = makeHost(t);
    const jail = scratch(t);
    run('cp', '-a', `${host}/bin`, `${jail}/bin`);
    run('setfacl', '-d', '-m', 'u:999:rwx', jail);
    chmodSync(jail, 0o2755);
    writeFileSync(`${jail}/bin/two`, 'no longer the same file');
    chmodSync(`${jail}/bin/suid`, 0o755);
    const manifest = manifestOf(host);
    await writeJail(manifest, jail, { sourceRoot: host, strict: true });
    run('setfacl', '-b', jail);
    for (const name of ['bin', 'deep', 'shared', 'dev']) {
      // A directory that existed keeps its times.
      run('touch', '-d', '@1500000000.123456789', `${jail}/${name}`);
    }
    assertSame(manifest, host, jail);
    const again = await writeJail(manifest, jail, { sourceRoot: host });
    assert.deepEqual(new Set(again.map(({ action }) => action)), new Set(['unchanged']));
  });

  test('has the extended attributes of the plan, whatever the source has', async (t) => {
    const host = makeHost(t);
    const jail = path.join(scratch(t), 'jail');
    const manifest = manifestOf(host);
    const value = Buffer.from('other').toString('base64');
    const entries = manifest.entries.map((entry) =>
      entry.path === '/bin/empty' ? { ...entry, xattrs: { 'user.note': value } } : entry,
    );
    await writeJail({ ...manifest, entries }, jail, { sourceRoot: host, strict: true });
    assert.match(run('getfattr', '-d', '-m', '-', `${jail}/bin/empty`), /^user\.note="other"$/m);
    assert.doesNotMatch(run('getfattr', '-d', '-m', '-', `${jail}/bin/empty`), /trusted/);
  });

  test('fails with --strict if attributes are lost; otherwise each loss is reported by file and attribute', async (t) => {
    const host = makeHost(t);
    const disk = scratch(t);
    // A file system without extended attributes.
    mkdirSync(`${disk}/mnt`);
    run('mount', '-t', 'ramfs', 'ramfs', `${disk}/mnt`);
    try {
      const all = manifestOf(host);
      const manifest = {
        ...all,
        entries: all.entries.filter(({ path }) => ['/bin', '/bin/ping'].includes(path)),
      };
      const jail = `${disk}/mnt/jail`;
      await assert.rejects(writeJail(manifest, jail, { sourceRoot: host, strict: true }), {
        code: 'NOT_EXACT',
        message: `${jail}/bin/ping: security.capability cannot be kept: operation not supported`,
      });
      assert.deepEqual(readdirSync(`${disk}/mnt`), []);
      const warnings: string[] = [];
      await writeJail(manifest, jail, {
        sourceRoot: host,
        onWarning: (message) => warnings.push(message),
      });
      assert.deepEqual(warnings, [
        `${jail}/bin/ping: security.capability cannot be kept: operation not supported`,
      ]);
      assert.equal(readFileSync(`${jail}/bin/ping`, 'utf8'), 'ping');
    } finally {
      run('umount', `${disk}/mnt`);
    }
  });

  test('shares files when links are requested, and copies where that is impossible', async (t) => {
    const host = makeHost(t);
    const jail = path.join(scratch(t), 'jail');
    const manifest = manifestOf(host);
    await writeJail(manifest, jail, { sourceRoot: host, link: true });
    assert.equal(lstatSync(`${jail}/bin/suid`).ino, lstatSync(`${host}/bin/suid`).ino);
    const again = await writeJail(manifest, jail, { sourceRoot: host, link: true });
    assert.deepEqual(new Set(again.map(({ action }) => action)), new Set(['unchanged']));
    const mount = scratch(t);
    run('mount', '-t', 'tmpfs', 'tmpfs', mount);
    try {
      await writeJail(manifest, `${mount}/jail`, { sourceRoot: host, link: true });
      assert.notEqual(lstatSync(`${mount}/jail/bin/suid`).dev, lstatSync(`${host}/bin/suid`).dev);
      assert.equal(readFileSync(`${mount}/jail/bin/suid`, 'utf8'), 'suid');
    } finally {
      run('umount', mount);
    }
  });
});

describe('a name with any bytes is copied', () => {
  const names = [
    Buffer.from('with space'),
    Buffer.from('new\nline'),
    Buffer.from('x'.repeat(255)),
    Buffer.from('\u00e9'.repeat(127)),
    Buffer.from([0x66, 0xff, 0xfe, 0x6f]),
    Buffer.from([0xc3]),
    Buffer.from([0xed, 0xb2, 0x80]),
    Buffer.from([0xef, 0xbf, 0xbd]),
    Buffer.from('\\x41'),
  ];

  test('unchanged by the library', async (t) => {
    const host = scratch(t);
    for (const name of names) {
      const directory = Buffer.concat([Buffer.from(`${host}/`), name]);
      mkdirSync(directory);
      writeFileSync(Buffer.concat([directory, Buffer.from('/'), name]), name);
      symlinkSync(name, Buffer.concat([directory, Buffer.from('/link')]));
    }
    const manifest = manifestOf(host);
    assert.equal(new Set(manifest.entries.map((entry) => entry.path)).size, names.length * 3);
    const printed = JSON.parse(JSON.stringify(manifest));
    assert.deepEqual(printed, manifest);
    for (const jail of [path.join(scratch(t), 'jail'), scratch(t)]) {
      await writeJail(printed, jail, { sourceRoot: host });
      const copied = readdirSync(jail, { encoding: 'buffer' });
      assert.deepEqual(copied.sort(Buffer.compare), [...names].sort(Buffer.compare));
      for (const name of names) {
        const directory = Buffer.concat([Buffer.from(`${jail}/`), name, Buffer.from('/')]);
        assert.deepEqual(readFileSync(Buffer.concat([directory, name])), name);
        const link = Buffer.concat([directory, Buffer.from('link')]);
        assert.deepEqual(readlinkSync(link, { encoding: 'buffer' }), name);
      }
    }
  });

  test('on the command line, also as the name of a program or a jail', needsRoot('cc'), () => {
    const directory = tempDir();
    writeFileSync(`${directory}/p.c`, '#include <unistd.h>\nint main(void){write(1,"ran\\n",4);}');
    run('cc', '-o', `${directory}/p`, `${directory}/p.c`);
    const script = `cd ${directory} && p=$(printf 'p\\377\\n x') && cp p "$p" && j=$(printf 'j\\376') && "$0" "$1" "./$j" "./$p" && chroot "./$j" "$PWD/$p"`;
    const { status, stdout, stderr } = exec('sh', [
      '-c',
      script,
      process.execPath,
      path.resolve('dist/jailbuild.cjs'),
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /p\\xff\\x0a x : \[OK\]/);
    assert.match(stdout, /^ran$/m);
  });
});

describe('a jail of a program with a capability', needsRoot('ping', 'ip', 'setcap'), () => {
  test('lets a user other than root run it', () => {
    const directory = tempDir();
    const ping = path.join(directory, 'ping');
    run('cp', '/bin/ping', ping);
    run('setcap', 'cap_net_raw=ep', ping);
    const built = jailbuild([path.join(directory, 'jail'), ping, '-q']);
    assert.equal(built.status, 0, built.stderr);
    assert.match(built.stderr, /^[^\n]*copied with [^\n]*\/ping \(cap_net_raw=ep\)[^\n]*\n$/);
    // In a new network namespace no group may use ping sockets without the capability.
    const script =
      'ip link set lo up && exec chroot --userspec=65534:65534 "$0" "$1" -c 1 127.0.0.1';
    const inside = () =>
      exec('unshare', ['--net', 'sh', '-c', script, path.join(directory, 'jail'), ping]);
    const pinged = inside();
    assert.equal(pinged.status, 0, pinged.stderr);
    assert.match(pinged.stdout, /1 received/);
    run('setcap', '-r', path.join(directory, 'jail', ping));
    assert.notEqual(inside().status, 0);
  });
});

test('a user other than root gets what can be built, and one warning', needsRoot('setpriv'), () => {
  const directory = tempDir();
  run('chown', '65534:65534', directory);
  // The clone may lie where only root has access.
  const dist = path.join(tempDir(), 'dist');
  cpSync(path.dirname(JAILBUILD), dist, { recursive: true });
  const asNobody = (...args: string[]) =>
    exec('setpriv', [
      ...['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath],
      ...[path.join(dist, path.basename(JAILBUILD)), `${directory}/jail`, 'ls', 'su', ...args],
    ]);
  const strict = asNobody('--strict', '-q');
  assert.equal(strict.status, 1);
  assert.match(strict.stderr, /^jailbuild: not built as root: [^\n]*\n$/);
  assert.deepEqual(readdirSync(directory), []);
  const built = asNobody('-q');
  assert.equal(built.status, 0, built.stderr);
  assert.match(built.stderr, /^jailbuild: warning: not built as root: [^\n]*\n$/);
  const { uid, mode } = lstatSync(`${directory}/jail/usr/bin/su`);
  assert.deepEqual([uid, mode & 0o7777], [65534, 0o755]);
  const again = asNobody('-v');
  assert.equal(again.status, 0, again.stderr);
  assert.doesNotMatch(again.stdout, /created|replaced/);
});
