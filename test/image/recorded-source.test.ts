import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { trustingPolicy } from '../support/containers.js';
import { needsRoot } from '../support/need.js';
import { startRegistry } from '../support/registry.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const cache = at('cache');
const env = { ...process.env, XDG_CACHE_HOME: cache };

function run(status: number, ...args: readonly string[]): string {
  const result = jailbuild(args, { env, cwd: directory });
  assert.equal(result.status, status, result.stderr + result.stdout);
  return result.stdout + result.stderr;
}

/** Makes an image with this text in /etc/motd. */
function makeImage(to: string, motd: string): void {
  writeFileSync(at('motd'), motd);
  const include = ['--include', `${at('motd')}:/etc/motd`];
  run(0, 'export', 'cat', ...include, '--to', to, '--tls-verify=false', '--quiet');
}

const evict = () => rmSync(cache, { recursive: true, force: true });

/** A jail can be used without the cache, and detects when its reference names another image. */
function outlives(jail: string, sysroot: string, other: () => void, ...access: string[]): void {
  const motd = () => readFileSync(at(jail, 'etc/motd'), 'utf8');
  const options = ['--sysroot', sysroot, '--include', '/etc/motd', '--quiet'];
  run(0, jail, 'cat', ...options, ...access);
  assert.equal(motd(), 'first\n');
  evict();
  assert.match(run(0, 'check', jail, ...access), /^Clean: /);
  evict();
  assert.match(run(0, 'update', jail, ...access), /^Up to date: /);
  other();
  const found = run(3, 'check', jail, ...access);
  assert.match(found, /^stale +\/: \S+ is now \w+:[0-9a-f]{64}, not \w+:[0-9a-f]{64}$/m);
  assert.match(found, /^stale +\/etc\/motd: size 6 -> 7(, mtime)?$/m);
  assert.match(run(0, 'check', jail, '--ignore', 'stale', ...access), /^Clean: /);
  assert.equal(run(0, 'update', jail, ...access), '~ /etc/motd\n1 change\n');
  assert.equal(motd(), 'second\n');
  evict();
  assert.match(run(0, 'check', jail, ...access), /^Clean: /);
  // More programs come from the same image without naming it.
  run(0, jail, '/bin/cat', '--include', '/etc/motd', '--quiet', ...access);
  assert.match(
    run(1, jail, 'cat', '--sysroot', directory, ...access),
    /the jail was built from .*:/,
  );
}

test('a jail of an image layout can be used without the cache', needsRoot(), () => {
  makeImage('oci:layout:app', 'first\n');
  outlives('of-layout', 'oci:layout:app', () => makeImage('oci:layout:app', 'second\n'));
});

test(
  'an unchanged jail of an image is recognised without reading the files',
  needsRoot('strace'),
  () => {
    makeImage('oci:layout:again', 'first\n');
    const words = ['again', 'cat', '--sysroot', 'oci:layout:again', '--include', '/etc/motd'];
    run(0, ...words);
    const isImageRead = () => {
      const log = at('log');
      const call = ['-f', '-y', '-qq', '-o', log, '-e', 'trace=open,openat,openat2'];
      const command = [...call, process.execPath, JAILBUILD, ...words];
      const { status, stderr } = exec('strace', command, { env, cwd: directory });
      assert.equal(status, 0, stderr);
      const opened = readFileSync(log, 'utf8').split('\n');
      return opened.some((line) => /\/images\/sha256-.*\/cat>$/.test(line));
    };
    const motd = at('again/etc/motd');
    assert.equal(isImageRead(), false);
    // The jail is compared with its record.
    rmSync(motd);
    isImageRead();
    assert.equal(readFileSync(motd, 'utf8'), 'first\n');
    // The image is compared as well: its tag may move.
    makeImage('oci:layout:again', 'second\n');
    assert.equal(isImageRead(), true);
    assert.equal(readFileSync(motd, 'utf8'), 'second\n');
    evict();
    run(0, ...words);
    assert.match(run(0, 'update', 'again'), /^Up to date/);
  },
);

for (const form of ['oci-archive', 'docker-archive']) {
  test(`a jail of an ${form} can be used without the cache`, needsRoot('skopeo'), () => {
    const policy = trustingPolicy(directory);
    const archive = `${form}:${at(form)}.tar:name:tag`;
    const make = (motd: string) => {
      makeImage('oci:from:app', motd);
      rmSync(`${at(form)}.tar`, { force: true });
      const copy = ['copy', '--quiet', `oci:${at('from')}:app`, archive];
      succeed('skopeo', ['--policy', policy, ...copy]);
    };
    make('first\n');
    outlives(`of-${form}`, archive, () => make('second\n'));
  });
}

test(
  'a jail of a registry image can be used without the cache',
  needsRoot('docker-registry'),
  async () => {
    const registry = await startRegistry(at('registry'));
    try {
      const image = `docker://${registry.address}/app:1`;
      makeImage(image, 'first\n');
      const other = () => makeImage(image, 'second\n');
      outlives('of-registry', image, other, '--tls-verify=false');
      run(0, 'lacking', 'cat', '--sysroot', image, '--quiet', '--tls-verify=false');
      const prove = ['prove', 'lacking', '--add'];
      const command = ['--', 'cat', '/etc/motd'];
      evict();
      assert.match(run(125, ...prove, ...command), /does not speak TLS/);
      assert.match(run(0, ...prove, '--least', '--tls-verify=false', ...command), /second\n/);
      assert.equal(readFileSync(at('lacking/etc/motd'), 'utf8'), 'second\n');
      evict();
      const unused = run(0, ...prove, '--unused', '--tls-verify=false', ...command);
      assert.match(unused, /the command succeeded/);
      evict();
      assert.match(run(0, 'why', 'lacking', '/etc/motd', '--tls-verify=false'), /\/etc\/motd/);
    } finally {
      await registry.stop();
    }
    evict();
    // An unreadable source is reported in one line, and the jail does not change.
    const told = run(1, 'update', 'of-registry', '--tls-verify=false');
    assert.match(told, /^jailbuild: [^\n]*127\.0\.0\.1[^\n]*\n$/);
  },
);

test('a jail of packages can be used without the cache', needsRoot('dpkg-deb', 'apt-get'), () => {
  const make = (motd: string) => {
    const root = at('package');
    rmSync(root, { recursive: true, force: true });
    mkdirSync(path.join(root, 'etc'), { recursive: true });
    mkdirSync(path.join(root, 'DEBIAN'));
    const fields = 'Package: motd\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\n';
    writeFileSync(path.join(root, 'DEBIAN/control'), `${fields}Description: x\n`);
    writeFileSync(path.join(root, 'etc/motd'), motd);
    for (const name of [
      '/bin/cat',
      '/lib64/ld-linux-x86-64.so.2',
      '/lib/x86_64-linux-gnu/libc.so.6',
    ]) {
      const to = path.join(root, 'usr', name);
      mkdirSync(path.dirname(to), { recursive: true });
      succeed('cp', ['--dereference', '--preserve=mode,timestamps', name, to]);
    }
    mkdirSync(at('debs'), { recursive: true });
    // gzip needs no program of the host.
    succeed('dpkg-deb', ['-Zgzip', '--build', '--root-owner-group', root, at('debs/motd.deb')]);
  };
  make('first\n');
  outlives('of-packages', 'deb:debs', () => make('second\n'));
});

test('a jail file names an image beside it', () => {
  makeImage('oci:layout:named', 'first\n');
  mkdirSync(at('project'));
  const file = at('project/jail.yaml');
  writeFileSync(file, 'root: jail\nprograms: [cat]\nsysroot: oci:../layout:named\n');
  const rule = at('rule');
  run(0, 'build', '--file', file, '--quiet', '--depfile', rule);
  evict();
  assert.match(run(0, 'check', 'project/jail'), /^Clean: /);
  assert.ok(readFileSync(rule, 'utf8').includes(`  ${at('layout/index.json')}`));
  run(0, 'export', '--from', file, '--to', 'tar:project.tar', '--depfile', rule, '--quiet');
  assert.ok(readFileSync(rule, 'utf8').includes(`  ${at('layout/index.json')}`));
  evict();
  rmSync(at('layout'), { recursive: true });
  // A jail can be exported even if its source is unknown.
  assert.match(run(0, 'export', 'project/jail', '--to', 'tar:jail.tar'), /layout/);
  assert.ok(existsSync(at('jail.tar')));
});
