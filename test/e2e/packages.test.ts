import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Manifest } from '../../src/manifest/manifest.js';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

function planOf(args: readonly string[]): Manifest & { readonly stderr: string } {
  const target = path.join(tempDir(), 'jail');
  const { status, stdout, stderr } = jailbuild([target, ...args, '--dry-run', '--json']);
  assert.equal(status, 0, stderr);
  return { ...(JSON.parse(stdout) as Manifest), stderr };
}

const pathsOf = ({ entries }: Manifest) => entries.map(({ path: at }) => at);

function smallRoot(): DebianRoot {
  const root = new DebianRoot();
  root.install(
    'dash',
    { '/bin/sh': '#!/bin/tool\n', '/usr/share/doc/dash/x': '' },
    'Essential: yes\n',
  );
  root.install(
    'app',
    {
      '/usr/bin/app': '#!/bin/tool\n',
      '/usr/bin/app-helper': '#!/bin/tool\n',
      '/usr/lib/app/data': 'data',
      '/usr/share/man/man1/app.1': '',
      '/usr/include/app.h': '',
      '/usr/lib/libapp.a': '',
      '/etc/app/app.conf': '',
    },
    'Source: app-source\nDepends: app-data (= 1), none | other | spare, dash\nRecommends: app-extra\n',
  );
  root.install('app-data', { '/usr/share/app/table': '' }, 'Source: app-source\n');
  root.install('app-extra', { '/usr/lib/app/extra': '' }, 'Source: app-source\n');
  root.install('other', { '/usr/share/other/file': '' }, 'Depends: deep\n');
  root.install('spare', { '/usr/share/spare/file': '' });
  root.install('deep', { '/usr/share/deep/file': '' });
  root.install('tool', { '/bin/tool': '' });
  succeed('cp', ['/bin/busybox', `${root.path}/usr/bin/tool`]);
  root.put('/usr/lib/app/made.cache', 'made at installation');
  root.put('/usr/lib/app/host.key', 'secret');
  root.put('/usr/lib/app/private', 'secret', 0o600);
  return root;
}

describe('packages of a sysroot', needs('/bin/busybox'), () => {
  const root = smallRoot();
  const plan = (...args: string[]) =>
    planOf(['--sysroot', root.path, '--terminfo', 'none', ...args]);

  test('--package adds run-time files only', () => {
    const paths = pathsOf(plan('tool', '--package', 'app'));
    for (const there of ['/usr/bin/app', '/usr/bin/app-helper', '/usr/lib/app/data']) {
      assert.ok(paths.includes(there), there);
    }
    assert.ok(paths.includes('/etc/app/app.conf'));
    const others = ['/usr/share/man/man1/app.1', '/usr/include/app.h', '/usr/lib/libapp.a'];
    assert.deepEqual(
      others.filter((file) => paths.includes(file)),
      [],
    );
    const withDocs = pathsOf(plan('tool', '--package', 'app', '--package-docs'));
    assert.deepEqual(
      others.filter((file) => !withDocs.includes(file)),
      [],
    );
  });

  test('--with-package adds packages of the same source and generated files, but no keys', () => {
    const paths = pathsOf(plan('app', '--with-package'));
    for (const there of ['/usr/share/app/table', '/usr/lib/app/extra', '/usr/lib/app/made.cache']) {
      assert.ok(paths.includes(there), there);
    }
    for (const absent of [
      '/usr/lib/app/host.key',
      '/usr/lib/app/private',
      '/usr/share/other/file',
    ]) {
      assert.ok(!paths.includes(absent), absent);
    }
  });

  test('--package-depends follows dependencies to a depth, excluding essential packages', () => {
    const at = (...depth: string[]) => pathsOf(plan('tool', '--package', 'app', ...depth));
    assert.ok(!at().includes('/usr/share/other/file'));
    assert.ok(at('--package-depends', '1').includes('/usr/share/other/file'));
    assert.ok(!at('--package-depends', '1').includes('/usr/share/deep/file'));
    // The first alternative that is installed satisfies the relation.
    assert.ok(!at('--package-depends', 'all').includes('/usr/share/spare/file'));
    const all = at('--package-depends', 'all');
    assert.ok(all.includes('/usr/share/deep/file'));
    assert.ok(!all.includes('/usr/bin/sh'));
    assert.ok(at('--package-depends', '1', '--package-essential').includes('/usr/bin/sh'));
  });

  test('an unknown package causes a suggestion, and a broken one is reported with the missing files', () => {
    const build = (...args: string[]) =>
      jailbuild([path.join(tempDir(), 'j'), 'tool', '--sysroot', root.path, ...args]);
    const unknown = build('--package', 'othre');
    assert.equal(unknown.status, 1);
    assert.match(unknown.stderr, /package othre: is not installed; did you mean other\?/);
    rmSync(`${root.path}/usr/share/deep/file`);
    const broken = build('--package', 'deep');
    assert.equal(broken.status, 1);
    assert.match(
      broken.stderr,
      /package deep: lacks files that it installed: \/usr\/share\/deep\/file/,
    );
    const partly = build('--package', 'app', '--package-depends', 'all', '--quiet');
    assert.equal(partly.status, 0);
    assert.match(partly.stderr, /warning: package deep: lacks files that it installed/);
  });

  test('a damaged database is reported in one line, and a missing one is accepted', () => {
    root.put('/var/lib/dpkg/status', 'garbage\n');
    const damaged = jailbuild([
      ...[path.join(tempDir(), 'j'), 'tool', '--sysroot', root.path],
      ...['--with-package', '--quiet'],
    ]);
    assert.equal(damaged.status, 0);
    assert.match(damaged.stderr, /\/var\/lib\/dpkg\/status: is damaged/);
    rmSync(`${root.path}/var`, { recursive: true });
    const none = jailbuild([path.join(tempDir(), 'j'), 'tool', '--sysroot', root.path, '-q']);
    assert.deepEqual([none.status, none.stderr], [0, '']);
  });
});

test(
  'packages of scripts bring the compiled modules they depend on, but no libraries',
  needs('/bin/busybox'),
  () => {
    const root = smallRoot();
    const depends = 'Depends: libmod-perl, liblinked\n';
    root.install('words', { '/usr/bin/words': '#!/bin/tool\n' }, `Architecture: all\n${depends}`);
    root.install('written', { '/usr/bin/written': '#!/bin/tool\n' }, depends);
    root.install('compiled', { '/usr/bin/compiled': readFileSync('/bin/busybox') }, depends);
    const [module, library] = ['/usr/share/perl5', '/usr/lib/x86_64-linux-gnu'];
    root.install('libmod-perl', { [`${module}/Mod.pm`]: '', [`${module}/auto/Mod.so`]: '' });
    root.install('liblinked', { [`${library}/liblinked.so.1`]: '', '/usr/share/linked/table': '' });
    const brought = (program: string) =>
      pathsOf(planOf(['--sysroot', root.path, '--terminfo', 'none', program, '--with-package']));
    const words = brought('words');
    assert.ok(words.includes(`${module}/Mod.pm`) && words.includes(`${module}/auto/Mod.so`));
    assert.ok(!words.includes('/usr/share/linked/table'));
    assert.ok(brought('written').includes(`${module}/Mod.pm`));
    assert.ok(!brought('compiled').includes(`${module}/Mod.pm`));
  },
);

test(
  'advice names a library that a script preloads, and a separate package with the configuration',
  needs('/bin/busybox'),
  () => {
    const root = smallRoot();
    const own = (name: string, script: string) => {
      const fields = `Source: own\nDepends: ${name}-config, lib${name}\n`;
      root.install(name, { [`/usr/bin/${name}`]: `#!/bin/tool\n${script}\n` }, fields);
      root.install(`${name}-config`, { [`/etc/${name}/main.conf`]: '' }, 'Source: own\n');
      const files = { [`/usr/lib/${name}/lib${name}-pre.so`]: '', [`/etc/${name}/other.conf`]: '' };
      root.install(`lib${name}`, files, 'Source: own\n');
      const { stderr } = jailbuild([
        ...[path.join(tempDir(), 'j'), name, '--sysroot', root.path, '--dry-run'],
      ]);
      return /advice: (.*)/.exec(stderr)?.[1];
    };
    assert.equal(
      own('loads', 'LD_PRELOAD=libloads-pre.so'),
      'loads names /usr/lib/loads/libloads-pre.so, from libloads: add --with-package',
    );
    assert.equal(
      own('reads', 'read main.conf'),
      'reads names /etc/reads/main.conf, from reads-config: add --with-package',
    );
    // A file of /etc that a package ships beside code is left to the administrator.
    assert.equal(own('lists', 'read other.conf'), undefined);
  },
);

test(
  'an rpm package is added from its database, with its requirements',
  needs('rpm', 'rpmbuild', '/bin/busybox'),
  () => {
    const directory = tempDir();
    const root = path.join(directory, 'root');
    const spec = path.join(directory, 'tool.spec');
    writeFileSync(
      spec,
      `Name: tool
Version: 1
Release: 1
Summary: a test
License: MIT
AutoReqProv: no
Requires: tool-data
%description
A test.
%package data
Summary: data
AutoReqProv: no
%description data
Data.
%package far
Summary: data of another kind
AutoReqProv: no
%description far
Far.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/tool %{buildroot}/usr/share/far
cp /bin/busybox %{buildroot}/usr/bin/tool
echo one > %{buildroot}/usr/share/tool/one
echo two > %{buildroot}/usr/share/far/two
%files
/usr/bin/tool
%files data
/usr/share/tool
%files far
/usr/share/far
`,
    );
    succeed('rpmbuild', [
      ...['-bb', '--quiet', '--define', `_topdir ${directory}/build`],
      ...['--define', '__os_install_post %{nil}', '--define', 'debug_package %{nil}', spec],
    ]);
    const packages = readdirSync(`${directory}/build/RPMS`, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith('.rpm'))
      .map((file) => `${directory}/build/RPMS/${file}`);
    mkdirSync(root);
    const installed = exec('rpm', [
      ...['--root', root, '--dbpath', '/var/lib/rpm', '--nodeps', '-i'],
      ...packages,
    ]);
    assert.equal(installed.status, 0, installed.stderr);
    assert.ok(existsSync(`${root}/usr/bin/tool`));
    const plan = (...args: string[]) =>
      pathsOf(planOf(['/usr/bin/tool', '--sysroot', root, '--terminfo', 'none', ...args]));
    assert.ok(!plan().includes('/usr/share/tool/one'));
    assert.ok(plan('--with-package').includes('/usr/share/tool/one'));
    assert.ok(!plan('--with-package').includes('/usr/share/far/two'));
    assert.ok(plan('--package', 'tool-far').includes('/usr/share/far/two'));
  },
);

test(
  'apk packages are added from their database, and a damaged one is reported in one line',
  needs('/bin/busybox'),
  () => {
    const root = tempDir();
    const put = (file: string, text: string): void => {
      mkdirSync(path.dirname(root + file), { recursive: true });
      writeFileSync(root + file, text, { mode: file.includes('/bin/') ? 0o755 : 0o644 });
    };
    mkdirSync(`${root}/usr/bin`, { recursive: true });
    succeed('cp', ['/bin/busybox', `${root}/usr/bin/tool`]);
    for (const name of ['one', 'two']) put(`/usr/share/${name}/data`, `${name}\n`);
    put('/usr/share/man/man1/tool.1', 'manual\n');
    // As apk-tools 2 writes it (apk(5)).
    const database = `C:Q1aAzZ8ZbB0qxyzBq6B1b2b3b4b5=
P:tool
V:1.2-r0
A:x86_64
S:10
I:20
T:a tool
U:https://example.org
L:MIT
o:tool
t:1700000000
c:0123
D:so:libc.musl-x86_64.so.1 tool-data>=1 !other
p:cmd:tool=1.2-r0
F:usr
F:usr/bin
R:tool
a:0:0:755
Z:Q1aAzZ8ZbB0qxyzBq6B1b2b3b4b5=
F:usr/share/man/man1
R:tool.1

P:tool-data
V:1.2-r0
A:noarch
L:MIT
o:tool
F:usr
F:usr/share
F:usr/share/one
R:data

P:far
V:3-r1
A:noarch
L:MIT
F:usr/share/two
R:data

`;
    put('/lib/apk/db/installed', database);
    const build = (...args: string[]) =>
      jailbuild([
        path.join(tempDir(), 'j'),
        'tool',
        '--sysroot',
        root,
        '--dry-run',
        '--json',
        ...args,
      ]);
    const paths = (...args: string[]) => pathsOf(JSON.parse(build(...args).stdout) as Manifest);
    assert.ok(!paths().includes('/usr/share/one/data'));
    const whole = paths('--with-package');
    assert.ok(whole.includes('/usr/share/one/data'));
    assert.ok(!whole.includes('/usr/share/two/data'));
    assert.ok(!whole.includes('/usr/share/man/man1/tool.1'));
    assert.ok(paths('--package', 'far').includes('/usr/share/two/data'));
    assert.ok(paths('--package', 'tool', '--package-depends', '1').includes('/usr/share/one/data'));
    assert.match(
      build('--package', 'frr').stderr,
      /package frr: is not installed; did you mean far\?/,
    );
    rmSync(`${root}/usr/share/two/data`);
    assert.match(build('--package', 'far').stderr, /package far: .*\/usr\/share\/two\/data/);
    put('/lib/apk/db/installed', '\0\0garbage\n');
    const damaged = build('--with-package');
    assert.equal(damaged.status, 0, damaged.stderr);
    assert.match(damaged.stderr + damaged.stdout, /installed: is damaged/);
  },
);

test('a damaged index of packages gives the same jail, and is made again', needs('gzip'), () => {
  const cache = tempDir();
  const plan = () => {
    const args = [path.join(cache, 'jail'), 'gzip', '--with-package', '--dry-run', '--json'];
    const built = jailbuild(args, { env: { ...process.env, XDG_CACHE_HOME: cache } });
    assert.equal(built.status, 0, built.stderr);
    return built.stdout;
  };
  const expected = plan();
  const file = path.join(cache, 'jailbuild/packages');
  const good = readFileSync(file);
  // The entries of paths are at its end.
  const bytes = Buffer.from(good).fill(0x55, Math.floor(good.length / 2));
  writeFileSync(file, bytes);
  // What is kept of the packages of a program makes the index unnecessary.
  rmSync(path.join(cache, 'jailbuild/facts'), { recursive: true });
  assert.equal(plan(), expected);
  assert.ok(readFileSync(file).equals(good));
});
