import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { type Finished, jailbuild, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Compiles a program or, with `-shared`, a library. */
function compile(directory: string, source: string, ...options: string[]): Buffer {
  const output = path.join(directory, 'compiled');
  succeed('gcc', ['-x', 'c', '-', '-x', 'none', '-o', output, ...options], { input: source });
  return readFileSync(output);
}

/** Starts the program whose name or path a C string is. */
const starts = (program: string) =>
  `#include <unistd.h>\nint main(int c, char **v) { return execvp("${program}", v); }`;

const changesTo = (directory: string) =>
  `#include <unistd.h>\nint main(void) { return chdir("${directory}"); }`;

/** Returns the result of a function of a library. */
const loads = (name: string) => `const char *${name}(void); int main(void) { return *${name}(); }`;

const offers = (name: string, text: string) =>
  `const char *${name}(void); const char *${name}(void) { return "${text}"; }`;

/** Returns the C library and its loader, by their paths in a root. */
function systemFiles(): Readonly<Record<string, Buffer>> {
  const loader = '/lib64/ld-linux-x86-64.so.2';
  const library = succeed('gcc', ['-print-file-name=libc.so.6']).trim();
  const read = (file: string) => readFileSync(realpathSync(file));
  return { '/usr/lib/libc.so.6': read(library), [loader]: read(loader) };
}

function compileLibrary(directory: string, name: string, text: string): Buffer {
  return compile(directory, offers(name, text), '-shared', `-Wl,-soname,lib${name}.so`);
}

describe('advice on compiled programs', needs('gcc'), () => {
  const root = new DebianRoot();
  const directory = tempDir();

  before(() => {
    for (const [file, content] of Object.entries(systemFiles())) root.put(file, content, 0o755);
  });

  const library = (name: string, text: string) => {
    const compiled = compileLibrary(directory, name, text);
    root.put(`/lib${name}.so`, compiled);
    return { [`/usr/lib/lib${name}.so`]: compiled };
  };
  const using = (name: string) =>
    compile(directory, loads(name), '-Wl,--no-as-needed', `${root.path}/lib${name}.so`);
  const adviceOn = (program: string, ...options: string[]) => {
    const target = path.join(tempDir(), 'j');
    const { status, stderr } = jailbuild([
      ...[target, program, '--sysroot', root.path, '--terminfo', 'none', '--dry-run', ...options],
    ]);
    assert.equal(status, 0, stderr);
    return [...stderr.matchAll(/advice: (.*)/g)].map(([, text]) => text);
  };

  test('a program of a dependency that is named by path is advised, others are not', () => {
    root.install('helper', { '/usr/bin/m9': '#!/bin/m9\n', '/usr/bin/other': '' });
    root.install(
      'runs',
      { '/usr/bin/runs': compile(directory, starts('/usr/bin/m9')) },
      'Depends: helper\n',
    );
    root.install(
      'reads',
      { '/usr/bin/reads': compile(directory, changesTo('/usr/bin/m9')) },
      'Depends: helper\n',
    );
    root.install('alone', { '/usr/bin/alone': compile(directory, starts('/usr/bin/m9')) });
    assert.deepEqual(adviceOn('runs'), ['runs may run /usr/bin/m9: add /usr/bin/m9']);
    assert.deepEqual(adviceOn('reads'), []);
    assert.deepEqual(adviceOn('alone'), []);
  });

  test('the program of which another one is a variant is advised, and comes with the package', () => {
    const files = {
      '/usr/bin/plan': compile(directory, 'int main(void) { return 0; }'),
      '/usr/bin/plan3': compile(directory, starts('plan')),
      '/usr/bin/splan': compile(directory, starts('splan')),
      '/usr/bin/chart': compile(directory, starts('plan')),
    };
    root.install('plans', files, 'Essential: yes\n');
    assert.deepEqual(adviceOn('plan3'), [
      'plan3 names /usr/bin/plan, from plans: add --with-package',
    ]);
    // A basic program has many names in its texts.
    assert.deepEqual(adviceOn('chart'), []);
    const brought = (program: string) => {
      const args = ['--sysroot', root.path, '--terminfo', 'none', '--with-package', '--dry-run'];
      const { stdout } = jailbuild([path.join(tempDir(), 'j'), program, ...args, '--json']);
      return stdout.includes('"/usr/bin/plan"');
    };
    // Linkers merge `plan` into `splan`.
    assert.deepEqual([brought('splan'), brought('plan3')], [true, true]);
  });

  test('what a library names is advised if its own package depends on it', () => {
    const [optional, needed] = ['/usr/share/mine/colors', '/usr/share/yours/colors'];
    root.install('libmine', library('mine', optional), 'Source: mine\n');
    const fields = 'Source: mine\nDepends: libmine\n';
    root.install('mine', { '/usr/bin/mine': using('mine'), [optional]: '' }, fields);
    assert.deepEqual(adviceOn('mine'), []);
    root.install('yours-data', { [needed]: '' }, 'Source: yours\n');
    root.install('libyours', library('yours', needed), 'Source: yours\nDepends: yours-data\n');
    root.install(
      'yours',
      { '/usr/bin/yours': using('yours') },
      'Source: yours\nDepends: libyours\n',
    );
    assert.match(
      adviceOn('yours').join(),
      /^yours names \/usr\/share\/yours\/colors, from yours-data: add /,
    );
  });

  test('data of the same source is advised through a library that depends on it', () => {
    root.install('libfar', library('far', 'phontab'), 'Source: far\nDepends: far-data\n');
    root.install('far-data', { '/usr/share/far/phontab': '' }, 'Source: far\n');
    root.install('far', { '/usr/bin/far': using('far') }, 'Source: far\nDepends: libfar\n');
    assert.deepEqual(adviceOn('far'), [
      'far names /usr/share/far/phontab, from far-data: add --with-package',
    ]);
  });
});

/** A root with a program that finds its table through a library, and no package database. */
class ForeignRoot {
  readonly path = tempDir();

  constructor() {
    for (const [file, content] of Object.entries(systemFiles())) this.put(file, content, 0o755);
    const library = compileLibrary(this.path, 'far', 'phontab');
    this.put('/usr/lib/libfar.so', library);
    const linked = `${this.path}/usr/lib/libfar.so`;
    this.put('/usr/bin/far', compile(this.path, loads('far'), '-Wl,--no-as-needed', linked), 0o755);
    this.put('/usr/share/far/phontab', '');
  }

  put(file: string, content: string | Buffer, mode = 0o644): void {
    mkdirSync(path.dirname(this.path + file), { recursive: true });
    writeFileSync(this.path + file, content, { mode });
  }

  build(...options: string[]): Finished {
    const args = ['/usr/bin/far', '--sysroot', this.path, '--terminfo', 'none', '--dry-run'];
    return jailbuild([path.join(tempDir(), 'j'), ...args, ...options]);
  }
}

/** Checks advice by a database, then without, and with a damaged one. */
function checkDatabase(root: ForeignRoot, file: string): void {
  const told = (pattern: RegExp, ...options: string[]) => {
    const { status, stderr } = root.build(...options);
    assert.equal(status, 0, stderr);
    return [...stderr.matchAll(pattern)].map(([line]) => line);
  };
  assert.deepEqual(told(/advice: .*/g), [
    'advice: far names /usr/share/far/phontab, from far-data: add --with-package',
  ]);
  assert.match(root.build('--with-package', '--json').stdout, /"\/usr\/share\/far\/phontab"/);
  const unknown = root.build('--package', 'far-dat');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /package far-dat: is not installed; did you mean far-data\?/);
  root.put(file, 'damaged\n');
  assert.deepEqual(told(/advice: .*/g), []);
  const [warning, ...others] = told(/warning: .*damaged.*/g, '--with-package');
  assert.match(warning ?? '', /is damaged.*: its packages are ignored/);
  assert.deepEqual(others, []);
}

test('a database of apk gives the same advice', needs('gcc'), () => {
  const root = new ForeignRoot();
  assert.doesNotMatch(root.build().stderr, /advice/);
  const record = (name: string, depends: string, directory: string, file: string) =>
    `P:${name}\nV:1-r0\nA:x86_64\nL:MIT\no:far\nD:${depends}\nF:${directory}\nR:${file}\n\n`;
  const database = [
    record('far', 'so:libfar.so', 'usr/bin', 'far'),
    record('libfar', 'far-data', 'usr/lib', 'libfar.so').replace('F:', 'p:so:libfar.so=0\nF:'),
    record('far-data', '', 'usr/share/far', 'phontab'),
  ];
  root.put('/lib/apk/db/installed', database.join(''));
  checkDatabase(root, '/lib/apk/db/installed');
});

test('a database of rpm gives the same advice', needs('gcc', 'rpm', 'rpmbuild'), () => {
  const root = new ForeignRoot();
  const directory = tempDir();
  const spec = path.join(directory, 'far.spec');
  const part = (name: string, requires: string) =>
    `%package -n ${name}\nSummary: a part\nAutoReqProv: no\n${requires}%description -n ${name}\nA part.\n`;
  writeFileSync(
    spec,
    `Name: far
Version: 1
Release: 1
Summary: a test
License: MIT
AutoReqProv: no
Requires: libfar
%description
A test.
${part('libfar', 'Requires: far-data\n')}${part('far-data', '')}%install
mkdir -p %{buildroot}
cp -a ${root.path}/usr %{buildroot}/usr
rm %{buildroot}/usr/lib/libc.so.6
%files
/usr/bin/far
%files -n libfar
/usr/lib/libfar.so
%files -n far-data
/usr/share/far
`,
  );
  succeed('rpmbuild', [
    ...['-bb', '--quiet', '--define', `_topdir ${directory}/build`],
    ...['--define', '__os_install_post %{nil}', '--define', 'debug_package %{nil}', spec],
  ]);
  const packages = readdirSync(`${directory}/build/RPMS`, { recursive: true })
    .map((name) => path.join(directory, 'build/RPMS', String(name)))
    .filter((file) => file.endsWith('.rpm'));
  const database = ['--root', root.path, '--dbpath', '/var/lib/rpm', '--justdb'];
  succeed('rpm', [...database, '--nodeps', '-i', ...packages]);
  checkDatabase(root, '/var/lib/rpm/rpmdb.sqlite');
});
