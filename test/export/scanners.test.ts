import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** An independent scanner, installed by `.ci/trivy`. */
const TRIVY = process.env.JAILBUILD_TEST_TRIVY ?? 'trivy';
const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);

interface Component {
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
}

/** Returns the packages of a bill of materials that belong to a package manager. */
function packagesOf(bom: string): readonly string[] {
  const { components } = JSON.parse(bom) as { readonly components: readonly Component[] };
  return components
    .filter(({ purl }) => /^pkg:(deb|apk|rpm)\//.test(purl ?? ''))
    .map(({ purl = '' }) => {
      const [, type = '', name = '', version = ''] =
        /^pkg:(\w+)\/(?:[^/@]+\/)?([^@?]+)@([^?]+)/.exec(purl) ?? [];
      // Trivy stores the epoch of a version in a qualifier.
      return `${type} ${decodeURIComponent(name)} ${decodeURIComponent(version).replace(/^\d+:/, '')}`;
    })
    .sort();
}

/**
 * Exports programs with a package database and a bill of materials, and returns what the scanner
 * lists.
 */
function scanned(name: string, ...args: readonly string[]) {
  const archive = at(`${name}.tar`);
  const made = jailbuild([
    ...['export', ...args, '--to', `tar:${archive}`, '--package-database', 'auto', '--quiet'],
    ...['--sbom', 'cyclonedx', '--sbom-file', at(`${name}.cdx.json`)],
  ]);
  assert.equal(made.status, 0, made.stderr);
  const root = at(`${name}-scanned`);
  mkdirSync(root);
  succeed('tar', ['-C', root, '--no-same-owner', '-xf', archive]);
  const list = succeed(TRIVY, [
    ...['rootfs', '--quiet', '--format', 'cyclonedx', '--offline-scan', '--skip-db-update'],
    ...['--cache-dir', at('trivy-cache'), root],
  ]);
  return {
    root,
    ours: packagesOf(readFileSync(at(`${name}.cdx.json`), 'utf8')),
    theirs: packagesOf(list),
  };
}

test(
  'Trivy lists the same dpkg packages as the bill of materials',
  needs(TRIVY, 'dpkg-query'),
  () => {
    const { ours, theirs } = scanned('dpkg', 'ls', 'bash', 'openssl');
    assert.ok(
      ours.some((line) => line.startsWith('deb coreutils ')) && ours.length >= 5,
      ours.join(),
    );
    assert.deepEqual(theirs, ours);
  },
);

test('Trivy lists the apk packages', needs(TRIVY, '/bin/busybox'), () => {
  const root = at('alpine');
  for (const name of ['bin', 'etc', 'lib/apk/db'])
    mkdirSync(path.join(root, name), { recursive: true });
  copyFileSync('/bin/busybox', path.join(root, 'bin/one'));
  copyFileSync('/bin/busybox', path.join(root, 'bin/two'));
  writeFileSync(path.join(root, 'etc/alpine-release'), '3.20.0\n');
  writeFileSync(path.join(root, 'etc/os-release'), 'ID=alpine\nVERSION_ID=3.20.0\n');
  const paragraph = (name: string) =>
    `C:Q1jv9s=\nP:${name}\nV:1.2.3-r4\nA:x86_64\nS:1\nI:1\nT:${name}\nU:https://example.org/\nL:MIT\no:${name}\nF:bin\nR:${name}\na:0:0:755\nZ:Q1a=\n\n`;
  writeFileSync(path.join(root, 'lib/apk/db/installed'), paragraph('one') + paragraph('two'));
  const { ours, theirs } = scanned('apk', '/bin/one', '--sysroot', root, '--terminfo', 'none');
  assert.deepEqual(ours, ['apk one 1.2.3-r4']);
  assert.deepEqual(theirs, ours);
});

const SPEC = `Name: tool
Epoch: 3
Version: 1
Release: 1
Summary: a test
License: MIT
AutoReqProv: no
%description
A test.
%package other
Summary: another
AutoReqProv: no
%description other
Another.
%install
mkdir -p %{buildroot}/usr/bin
cp /bin/busybox %{buildroot}/usr/bin/tool
cp /bin/busybox %{buildroot}/usr/bin/other
%files
/usr/bin/tool
%files other
/usr/bin/other
`;

/** Creates a root with two packages installed by rpm. */
function makeRpmRoot(): string {
  const root = at('fedora');
  if (existsSync(root)) return root;
  const spec = at('tool.spec');
  writeFileSync(spec, SPEC);
  succeed('rpmbuild', [
    ...['-bb', '--quiet', '--define', `_topdir ${at('build')}`],
    ...['--define', '__os_install_post %{nil}', '--define', 'debug_package %{nil}', spec],
  ]);
  const packages = readdirSync(at('build/RPMS'), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.rpm'))
    .map((file) => at('build/RPMS', file));
  mkdirSync(path.join(root, 'etc'), { recursive: true });
  writeFileSync(path.join(root, 'etc/os-release'), 'ID=fedora\nVERSION_ID=40\n');
  writeFileSync(path.join(root, 'etc/fedora-release'), 'Fedora release 40 (Forty)\n');
  const install = ['--root', root, '--dbpath', '/var/lib/rpm', '--nodeps', '-i', ...packages];
  const installed = exec('rpm', install);
  assert.equal(installed.status, 0, installed.stderr);
  return root;
}

test(
  'rpm reads a database reduced to the exported files',
  needs('rpm', 'rpmbuild', '/bin/busybox'),
  () => {
    const root = makeRpmRoot();
    const args = ['export', '/usr/bin/tool', '--sysroot', root, '--terminfo', 'none', '--quiet'];
    const digests = ['one', 'two'].map((name) => {
      const to = [
        '--to',
        `tar:${at(`${name}.tar`)}`,
        '--package-database',
        'auto',
        '--digest-file',
        at(name),
      ];
      const made = jailbuild([...args, ...to]);
      assert.equal(made.status, 0, made.stderr);
      return readFileSync(at(name), 'utf8');
    });
    assert.equal(digests[0], digests[1]);
    const reduced = at('rpm-reduced');
    mkdirSync(reduced);
    succeed('tar', ['-C', reduced, '--no-same-owner', '-xf', at('one.tar')]);
    const query = (...words: readonly string[]) =>
      succeed('rpm', ['--root', reduced, '--dbpath', '/var/lib/rpm', ...words])
        .trim()
        .split('\n')
        .sort();
    const format = ['--qf', '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE}\\n'];
    assert.deepEqual(query('-qa', ...format), ['tool 3:1-1']);
    assert.deepEqual(query('-q', 'tool', ...format), ['tool 3:1-1']);
    assert.deepEqual(query('-qf', '/usr/bin/tool', ...format), ['tool 3:1-1']);
  },
);

test('Trivy lists the rpm packages', needs(TRIVY, 'rpm', 'rpmbuild', '/bin/busybox'), () => {
  const root = makeRpmRoot();
  const { ours, theirs } = scanned('rpm', '/usr/bin/tool', '--sysroot', root, '--terminfo', 'none');
  assert.deepEqual(ours, ['rpm tool 1-1']);
  assert.deepEqual(theirs, ours);
});
