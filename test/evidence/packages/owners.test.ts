import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { packageOwners } from '../../../src/evidence/packages/owners.js';
import { FileReader } from '../../../src/fs/file-reader.js';
import { HeldTree } from '../../../src/fs/held-tree.js';
import { isTrace, Sysroot } from '../../../src/fs/sysroot.js';
import { readPackageNote } from '../../../src/sbom/package-note.js';
import { PROJECT } from '../../support/cli.js';
import { needs } from '../../support/need.js';
import { tempDir } from '../../support/temp-dir.js';

function put(root: string, file: string, text = ''): void {
  mkdirSync(path.dirname(root + file), { recursive: true });
  writeFileSync(root + file, text);
}

test(
  'the owners of the programs of the host are those that dpkg reports',
  needs('dpkg'),
  async () => {
    const sysroot = new Sysroot();
    const programs = ['/usr/bin', '/usr/sbin']
      .flatMap((directory) => readdirSync(directory).map((name) => `${directory}/${name}`))
      .filter((file) => {
        const found = sysroot.trace(file);
        return isTrace(found) && found.stat.type === 'file' && found.path === file;
      })
      .slice(0, 600);
    const { owners } = await packageOwners(sysroot, programs);
    // dpkg -S knows files by the names in its lists, before the merge of /usr.
    const asked = programs.flatMap((file) => [file, file.replace(/^\/usr/, '')]);
    let answer: string;
    try {
      answer = execFileSync('dpkg', ['-S', ...asked], {
        stdio: 'pipe',
        maxBuffer: 1 << 26,
      }).toString();
    } catch (error) {
      // Some belong to no package: dpkg reports that by its exit status.
      answer = String((error as { readonly stdout: Buffer }).stdout);
    }
    const told = new Map<string, string>();
    for (const line of answer.split('\n')) {
      if (line.startsWith('diversion by ')) continue;
      const [, name, file] = /^([^:, ]+)(?::\w+)?: (.*)$/.exec(line) ?? [];
      if (name !== undefined && file !== undefined) {
        told.set(file.startsWith('/usr/') ? file : `/usr${file}`, name);
      }
    }
    assert.ok(told.size > 200, `${told.size} programs`);
    const differing = programs.filter((file) => owners.get(file)?.name !== told.get(file));
    // dpkg -S lists both packages of a diverted file.
    const diverted = execFileSync('dpkg-divert', ['--list']).toString();
    assert.deepEqual(
      differing.filter((file) => !diverted.split(/\s+/).includes(file)),
      [],
    );
  },
);

test('versions and licenses come from the databases', needs('dpkg-query'), async () => {
  const { owners } = await packageOwners(new Sysroot(), ['/usr/bin/bash']);
  const owner = owners.get('/usr/bin/bash');
  const query = ['-W', '-f', '\x24{Version} \x24{Architecture}', 'bash'];
  const told = execFileSync('dpkg-query', query).toString();
  assert.equal(`${owner?.version} ${owner?.architecture}`, told);
  assert.match(owner?.license ?? '', /GPL-3\.0-or-later/);
});

test('dpkg: diverted files, removed packages, other architectures and images without dpkg are handled', async () => {
  const root = tempDir();
  const stanza = (name: string, status = 'install ok installed', architecture = 'amd64') =>
    `Package: ${name}\nStatus: ${status}\nArchitecture: ${architecture}\nVersion: 1.0-${name}\n` +
    'Description: one\n more of it\n';
  const status = [
    stanza('one'),
    stanza('two'),
    stanza('gone', 'deinstall ok config-files'),
    stanza('many', undefined, 'i386'),
  ];
  put(root, '/var/lib/dpkg/status', status.join('\n'));
  put(root, '/var/lib/dpkg/info/one.list', '/.\n/usr\n/usr/bin/sh\n/bin/tool\n');
  put(root, '/var/lib/dpkg/info/two.list', '/.\n/usr/bin/sh\n');
  put(root, '/var/lib/dpkg/info/gone.list', '/usr/bin/gone\n');
  put(root, '/var/lib/dpkg/info/many:i386.list', '/lib/libmany.so\n');
  put(root, '/var/lib/dpkg/diversions', '/usr/bin/sh\n/usr/bin/sh.distrib\ntwo\n');
  put(root, '/var/lib/dpkg/status.d/less', 'Package: less\nVersion: 2\nArchitecture: all\n');
  put(root, '/var/lib/dpkg/status.d/less.md5sums', `${'0'.repeat(32)}  usr/bin/less\n`);
  for (const name of ['bin', 'lib']) {
    mkdirSync(`${root}/usr/${name}`, { recursive: true });
    symlinkSync(`usr/${name}`, `${root}/${name}`);
  }
  const files = ['sh', 'sh.distrib', 'tool', 'gone', 'less'].map((name) => `/usr/bin/${name}`);
  const { owners } = await packageOwners(new Sysroot(root), [...files, '/usr/lib/libmany.so']);
  assert.deepEqual(
    [...owners].map(([file, { name, version }]) => `${file} ${name} ${version}`).sort(),
    [
      '/usr/bin/less less 2',
      '/usr/bin/sh two 1.0-two',
      '/usr/bin/sh.distrib one 1.0-one',
      '/usr/bin/tool one 1.0-one',
      '/usr/lib/libmany.so many 1.0-many',
    ],
  );
});

test('apk: packages are found by the directories and files of their paragraphs', async () => {
  const root = tempDir();
  mkdirSync(`${root}/lib/apk/db`, { recursive: true });
  copyFileSync(path.join(PROJECT, 'fixtures/apk/installed'), `${root}/lib/apk/db/installed`);
  const files = ['/lib/ld-musl-x86_64.so.1', '/bin/sh', '/usr/bin/oldtool', '/usr/bin/other'];
  const { owners } = await packageOwners(new Sysroot(root), files);
  assert.deepEqual(owners.get('/lib/ld-musl-x86_64.so.1'), {
    type: 'apk',
    name: 'musl',
    version: '1.2.5-r0',
    architecture: 'x86_64',
    supplier: 'Timo Teräs <timo.teras@iki.fi>',
    homepage: 'https://musl.libc.org/',
    license: 'MIT',
  });
  assert.equal(owners.get('/bin/sh')?.source, 'busybox');
  assert.equal(owners.get('/usr/bin/oldtool')?.license, 'LicenseRef-GPL2-LGPL2.1');
  assert.equal(owners.has('/usr/bin/other'), false);
});

test(
  'rpm: headers of a database written by rpm are read, including its write-ahead log',
  needs('rpm', 'rpmbuild'),
  async () => {
    const directory = tempDir();
    const spec = `
Name: toolbox
Epoch: 2
Version: 1.5
Release: 3.test
Summary: a test
License: GPLv2+ and MIT
URL: https://example.org/toolbox
Vendor: Example
BuildArch: noarch
%description
A test.
%package data
Summary: data
%description data
Data.
%install
mkdir -p %{buildroot}/bin %{buildroot}/usr/share/toolbox/deep
echo tool > %{buildroot}/bin/toolbox
echo data > %{buildroot}/usr/share/toolbox/deep/data
%files
/bin/toolbox
%files data
/usr/share/toolbox/deep/data
`;
    writeFileSync(`${directory}/toolbox.spec`, spec);
    const home = { ...process.env, HOME: directory };
    execFileSync(
      'rpmbuild',
      ['-bb', '--quiet', '-D', `_topdir ${directory}/build`, `${directory}/toolbox.spec`],
      { stdio: 'pipe', env: home },
    );
    const packages = readdirSync(`${directory}/build/RPMS/noarch`).map(
      (name) => `${directory}/build/RPMS/noarch/${name}`,
    );
    const root = `${directory}/root`;
    mkdirSync(`${root}/usr/bin`, { recursive: true });
    symlinkSync('usr/bin', `${root}/bin`);
    const rpm = ['--root', root, '-D', '_dbpath /var/lib/rpm', '--nodeps', '--force-debian'];
    execFileSync('rpm', [...rpm, '-i', ...packages], { stdio: 'pipe', env: home });
    const before = readdirSync(`${root}/var/lib/rpm`);
    const files = ['/usr/bin/toolbox', '/usr/share/toolbox/deep/data', '/usr/bin/none'];
    const { owners, warnings } = await packageOwners(new Sysroot(root), files);
    assert.deepEqual(warnings, []);
    assert.deepEqual(owners.get('/usr/bin/toolbox'), {
      type: 'rpm',
      name: 'toolbox',
      version: '1.5-3.test',
      architecture: 'noarch',
      epoch: 2,
      supplier: 'Example',
      homepage: 'https://example.org/toolbox',
      license: 'GPL-2.0-or-later AND MIT',
    });
    assert.equal(owners.get('/usr/share/toolbox/deep/data')?.name, 'toolbox-data');
    assert.equal(owners.size, 2);
    assert.deepEqual(readdirSync(`${root}/var/lib/rpm`), before, 'the database is not changed');

    const suse = `${directory}/suse`;
    cpSync(`${root}/usr`, `${suse}/usr`, { recursive: true });
    put(suse, '/usr/lib/sysimage/rpm/Packages.db');
    const other = await packageOwners(new Sysroot(suse), files);
    assert.match(
      other.warnings.join(),
      /Packages\.db: is an rpm database in a format other than SQLite/,
    );
  },
);

test('an ELF file names its package in a note', needs('cc'), () => {
  const directory = tempDir();
  const note = {
    type: 'rpm',
    name: 'tool',
    version: '1.2-3',
    architecture: 'x86_64',
    os: 'fedora',
  };
  writeFileSync(`${directory}/tool.c`, 'int main(void) { return 0; }');
  const metadata = `--package-metadata=${JSON.stringify(note)}`;
  const options = ['-Xlinker', metadata, '-o', `${directory}/tool`];
  execFileSync('cc', [`${directory}/tool.c`, ...options]);
  assert.deepEqual(readPackageNote(new FileReader(new HeldTree(directory), '/tool')), note);
  assert.equal(
    readPackageNote(new FileReader(new HeldTree(''), realpathSync('/usr/bin/env'))),
    undefined,
  );
  assert.equal(readPackageNote(new FileReader(new HeldTree(directory), '/tool.c')), undefined);
});
