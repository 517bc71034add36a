import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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

  /** Returns the paths of a jail with the program's package. */
  const brought = (program: string) => {
    const args = ['--sysroot', root.path, '--terminfo', 'none', '--with-package', '--dry-run'];
    const target = path.join(tempDir(), 'j');
    const { status, stdout, stderr } = jailbuild([target, program, ...args, '--json']);
    assert.equal(status, 0, stderr);
    const manifest = JSON.parse(stdout) as { readonly entries: readonly { path: string }[] };
    return manifest.entries.map((entry) => entry.path);
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
    // Linkers merge `plan` into `splan`.
    assert.deepEqual(adviceOn('splan'), [
      'splan names /usr/bin/plan, from plans: add --with-package',
    ]);
    for (const program of ['splan', 'plan3']) {
      assert.ok(brought(program).includes('/usr/bin/plan'));
    }
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

  test('a file that a library searches for in several places is advised, and one of a list of files not', () => {
    const [places, single] = ['/usr/share/painter/rgb.txt', '/usr/share/sketch/rgb.txt'];
    const list = `/usr/local/painter/rgb.txt:${places}:/etc/painter/rgb.txt`;
    root.install('libpainter', library('painter', list), 'Source: painter\n');
    const files = { '/usr/bin/painter': using('painter'), [places]: '' };
    root.install('painter', files, 'Source: painter\nDepends: libpainter\n');
    assert.deepEqual(adviceOn('painter'), [
      `painter names ${places}, from painter: add --with-package`,
    ]);
    assert.ok(brought('painter').includes(places));
    const tools = Array.from({ length: 21 }, (_, i) => [`/usr/bin/paint${i}`, using('painter')]);
    const all = { ...Object.fromEntries(tools), '/usr/local/painter/rgb.txt': '' };
    root.install('suite', all, 'Source: painter\nDepends: libpainter\n');
    assert.deepEqual(adviceOn('paint7'), []);
    root.install('libsketch', library('sketch', `/etc/pens.txt:${single}`), 'Source: sketch\n');
    const others = { '/usr/bin/sketch': using('sketch'), [single]: '' };
    root.install('sketch', others, 'Source: sketch\nDepends: libsketch\n');
    assert.deepEqual(adviceOn('sketch'), []);
  });

  test('many modules that a library opens by composed names are advised, and come with the package', () => {
    const lib = '/usr/lib/x86_64-linux-gnu';
    const compileOpener = (name: string, opener: string) => {
      const source = `__attribute__((weak)) void *${opener}(const char *); const char *${name}(void);
const char *${name}(void) { return (const char *)${opener}(${name}()); }`;
      const compiled = compile(directory, source, '-shared', `-Wl,-soname,lib${name}.so`);
      root.put(`/lib${name}.so`, compiled);
      return { [`/usr/lib/lib${name}.so`]: compiled };
    };
    const modulesIn = (at: string, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`${at}/coder${i}.so`, '']));
    const install = (name: string, opener: string, at: string, count: number) => {
      const files = { ...compileOpener(name, opener), ...modulesIn(`${lib}/${at}`, count) };
      root.install(`lib${name}`, { ...files, [`${lib}/${at}/list.xml`]: '' });
      root.install(`use-${name}`, { [`/usr/bin/${name}`]: using(name) }, `Depends: lib${name}\n`);
    };
    install('pixels', 'lt_dlopen', 'Pixels-7.1/coders', 20);
    assert.deepEqual(adviceOn('pixels'), [
      `pixels loads libpixels.so, which opens modules in ${lib}/Pixels-7.1, from libpixels: add --with-package`,
    ]);
    const entries = brought('pixels');
    assert.ok(entries.includes(`${lib}/Pixels-7.1/coders/coder19.so`));
    assert.ok(entries.includes(`${lib}/Pixels-7.1/coders/list.xml`));
    assert.deepEqual(adviceOn('pixels', '--include', `${lib}/Pixels-7.1`), []);
    // Few are additions, what opens nothing loads none, and scripts load those of a language.
    install('input', 'g_module_open', 'input-2', 3);
    install('closed', 'puts', 'closed-3', 20);
    install('speak', 'dlopen', 'perl', 20);
    for (const program of ['input', 'closed', 'speak']) assert.deepEqual(adviceOn(program), []);
  });

  test('modules that a library loads for the program are advised', () => {
    const modules = '/usr/lib/tables/modules';
    root.install('libtables', library('tables', modules), 'Source: tables\n');
    const files = { '/usr/bin/tables': using('tables'), [`${modules}/nat.so`]: '' };
    root.install('tables', files, 'Source: tables\nDepends: libtables\n');
    assert.deepEqual(adviceOn('tables'), [
      `tables names ${modules}, from tables: add --with-package`,
    ]);
  });

  test('a directory of files that a program makes is not advised', () => {
    const keeps = compile(directory, changesTo('/var/lib/keeps'));
    root.install('keeps', { '/usr/bin/keeps': keeps, '/var/lib/keeps': '' });
    rmSync(`${root.path}/var/lib/keeps`);
    root.put('/var/lib/keeps/made', '');
    assert.deepEqual(adviceOn('keeps'), []);
  });

  test('a program in the directory of its data lacks the data', () => {
    const files = {
      '/usr/lib/logic/bin/logic': compile(directory, changesTo('/usr/lib/logic')),
      '/usr/lib/logic/boot': '',
    };
    root.install('logic', files);
    assert.equal(
      adviceOn('/usr/lib/logic/bin/logic')[0],
      'logic names /usr/lib/logic, from logic: add --with-package',
    );
  });

  test('data is found from the directory of a program', () => {
    const files = {
      '/usr/bin/image': compile(directory, changesTo('../lib/image')),
      '/usr/lib/image/image.core': '',
    };
    root.install('image', files);
    assert.deepEqual(adviceOn('image'), [
      'image names /usr/lib/image, from image: add --with-package',
    ]);
  });

  test('configuration of its own package is advised, that of other packages is not', () => {
    const carver = compile(directory, changesTo('/etc/carver.conf'));
    root.install('carver', { '/usr/bin/carver': carver, '/etc/carver.conf': 'gif y 9000\n' });
    root.install('other', { '/usr/bin/carver2': carver }, 'Depends: carver\n');
    assert.deepEqual(adviceOn('carver'), [
      'carver names /etc/carver.conf, from carver: add --with-package',
    ]);
    assert.deepEqual(adviceOn('carver2'), []);
  });

  test('configuration that has only comments is not advised', () => {
    const pattern = compile(directory, changesTo('/etc/pattern.conf'));
    const comments = '# width 80\n\n  ; height 20\n';
    root.install('pattern', { '/usr/bin/pattern': pattern, '/etc/pattern.conf': comments });
    assert.deepEqual(adviceOn('pattern'), []);
  });

  test('a directory of programs is advised for a program that starts some', () => {
    const directories = { mill: '/usr/lib/mill', till: '/usr/lib/till' };
    const opens = `#include <unistd.h>\nint main(void) { return chdir("${directories.till}"); }`;
    const helper = '/helper';
    root.install('mill', {
      '/usr/bin/mill': compile(directory, starts(directories.mill)),
      [directories.mill + helper]: '#!/bin/mill\n',
    });
    root.install('till', {
      '/usr/bin/till': compile(directory, opens),
      [directories.till + helper]: '#!/bin/till\n',
    });
    for (const at of Object.values(directories)) chmodSync(root.path + at + helper, 0o755);
    assert.deepEqual(adviceOn('mill'), ['mill names /usr/lib/mill, from mill: add --with-package']);
    assert.deepEqual(adviceOn('till'), []);
  });

  test('a tool or another build of a program does not start it', () => {
    const tool = compile(directory, starts('spool'));
    const files = {
      '/usr/bin/spool': tool,
      '/usr/bin/spool-cat': tool,
      '/usr/bin/spool.fast': tool,
    };
    root.install('spool', files);
    for (const name of ['spool-cat', 'spool.fast']) assert.deepEqual(adviceOn(name), []);
  });

  test('words of a library are not programs that a program starts, nor its shell', () => {
    root.install('mounts', { '/usr/bin/mounts': '#!/bin/mounts\n' });
    root.install('libinit', library('init', 'mounts'), 'Source: init\n');
    root.install('libshell', library('shell', '/bin/sh'), 'Source: init\n');
    root.put('/bin/sh', readFileSync('/bin/sh'), 0o755);
    const source = (name: string, word: string) =>
      `#include <unistd.h>\nconst char *${name}(void);\nint main(int c, char **v) { return execvp(v[1], v) + *${name}() + *"${word}"; }`;
    const run = (name: string, word = '') =>
      compile(directory, source(name, word), '-Wl,--no-as-needed', `${root.path}/lib${name}.so`);
    const fields = 'Source: init\nDepends: libinit, libshell, mounts\n';
    root.install('init', { '/usr/bin/init1': run('init'), '/usr/bin/init2': run('shell') }, fields);
    assert.deepEqual(adviceOn('init1'), []);
    assert.deepEqual(adviceOn('init2'), []);
  });

  test('a client has certificates advised, and a program whose library serves clients has not', () => {
    const trust = 'SSL_CTX_set_default_verify_paths';
    const fetch = compile(directory, offers(trust, ''), '-shared', '-Wl,-soname,libtls.so');
    root.put('/libtls.so', fetch);
    root.install('libtls', { '/usr/lib/libtls.so': fetch });
    const link = ['-Wl,--no-as-needed', `${root.path}/libtls.so`];
    const serves = `const char *${trust}(void); const char *serve(void) { return ${trust}(); }`;
    const shared = compile(directory, serves, '-shared', '-Wl,-soname,libserve.so', ...link);
    root.put('/libserve.so', shared);
    const all = [...link, `${root.path}/libserve.so`];
    root.install('libserve', { '/usr/lib/libserve.so': shared }, 'Source: serve\n');
    const depends = 'Source: serve\nDepends: libserve\n';
    root.install(
      'serve',
      { '/usr/bin/serve': compile(directory, loads('serve'), ...all) },
      depends,
    );
    root.install('fetch', { '/usr/bin/fetch': compile(directory, loads(trust), ...link) });
    assert.deepEqual(adviceOn('serve'), []);
    root.install(
      'edit',
      { '/usr/bin/edit': compile(directory, loads(trust), ...link) },
      'Section: editors\n',
    );
    assert.deepEqual(adviceOn('edit'), []);
    assert.deepEqual(adviceOn('fetch'), [
      'fetch verifies TLS peers, but the jail has no CA certificates: add --ca-certificates',
    ]);
  });

  test('an essential program of which a program is a variant is advised, unless its name is a word', () => {
    const nothing = compile(directory, 'int main(void) { return 0; }');
    const many = Array.from({ length: 21 }, (_, index) => [`/usr/bin/word${index}`, nothing]);
    root.install('compare', { '/usr/bin/compare': nothing }, 'Essential: yes\n');
    root.install('words', Object.fromEntries(many), 'Essential: yes\n');
    const variants = {
      '/usr/bin/wcompare': compile(directory, starts('wcompare')),
      '/usr/bin/rword1': compile(directory, starts('rword1')),
    };
    root.install('variants', variants);
    assert.deepEqual(adviceOn('wcompare'), [
      'wcompare may run /usr/bin/compare: add /usr/bin/compare',
    ]);
    assert.deepEqual(adviceOn('rword1'), []);
    const entries = brought('wcompare');
    assert.ok(entries.includes('/usr/bin/compare'));
  });

  describe('of scripts', needs('/bin/busybox'), () => {
    before(() => {
      root.install('shell', { '/usr/bin/sh': readFileSync('/bin/busybox') }, 'Essential: yes\n');
      root.install('tool', { '/usr/bin/tool': '' }, 'Essential: yes\n');
      root.install('language', { '/usr/bin/perl': compile(directory, starts('perl')) });
      root.install('language-modules', { '/usr/lib/modules/code.so': '' });
    });

    test('a wrapper needs the program of its package that it computes, and what this names', () => {
      const files = {
        '/usr/bin/in': '#!/bin/sh\nd=$(cat d)\nexec "$d"rcx in "$@"\n',
        '/usr/bin/rcx': compile(directory, starts('/usr/bin/tool')),
      };
      root.install('rcx', files);
      assert.deepEqual(adviceOn('in'), ['in may run /usr/bin/rcx, from rcx: add --with-package']);
      const entries = brought('in');
      assert.ok(entries.includes('/usr/bin/rcx') && entries.includes('/usr/bin/tool'));
    });

    test('a shell script lacks the directory of its package that it names', () => {
      const text = '#!/bin/sh\n# See /usr/share/doc2/parts.\nPARTS=/usr/share/patches\n';
      const files = { '/usr/share/patches/new': '', '/usr/share/doc2/parts/x': '' };
      root.install('patches', { '/usr/bin/patches': text, ...files });
      assert.deepEqual(adviceOn('patches'), [
        'patches names /usr/share/patches, from patches: add --with-package',
      ]);
    });

    test('a script that passes itself to another interpreter computes no commands', () => {
      const rest = '$m = 1;\n$m\n';
      root.install('both', { '/usr/bin/both': `#!/bin/sh\nexec tool -x "$0" "$@"\n${rest}` });
      root.install('one', { '/usr/bin/one': `#!/bin/sh\nm=$(cat)\n${rest}` });
      assert.deepEqual(adviceOn('both'), []);
      assert.match(adviceOn('one').join(), /computes a command at run time/);
    });

    test('a wrapper under the name of a link starts a program of a package that depends on its own', () => {
      root.link('/usr/bin/query', '../share/common/bin/wrapper');
      root.install('common', { '/usr/share/common/bin/wrapper': '#!/usr/bin/perl\n' });
      const query = { '/usr/lib/query/15/bin/query': '', '/usr/lib/query/15/bin/dump': '' };
      root.install('query-15', query, 'Depends: common (>= 2)\n');
      root.install('mentions', { '/usr/lib/m/bin/query': '' }, 'Description: uses common\n');
      assert.deepEqual(adviceOn('query'), [
        'query names /usr/lib/query/15/bin/query, from query-15: add --with-package',
      ]);
      const entries = brought('query');
      assert.ok(entries.includes('/usr/lib/query/15/bin/query'));
      assert.ok(!entries.includes('/usr/lib/m/bin/query'));
    });

    test('a script comes with compiled modules and with the basic programs that it quotes', () => {
      const text = "#!/usr/bin/perl\nopen F, 'tool', 'a';\n";
      root.install('colors', { '/usr/bin/colors': text }, 'Depends: language-modules, language\n');
      const entries = brought('colors');
      assert.ok(entries.includes('/usr/lib/modules/code.so'));
      assert.ok(entries.includes('/usr/bin/tool'));
    });
  });

  test('a directory of many packages is not added whole because a program names it', () => {
    const parts = (count: number, name: string) => {
      const names = Array.from({ length: count }, (_, index) => `${name}${index}`);
      for (const part of names) root.install(part, { [`/usr/share/${name}/${part}`]: '' });
      root.install(
        name,
        { [`/usr/bin/${name}`]: compile(directory, changesTo(`/usr/share/${name}`)) },
        `Depends: ${names.join(', ')}\n`,
      );
      return names;
    };
    const added = (count: number, name: string) => {
      const names = new Set(parts(count, name).map((part) => `/usr/share/${name}/${part}`));
      return brought(name).filter((entry) => names.has(entry)).length;
    };
    assert.equal(added(16, 'few'), 16);
    assert.equal(added(17, 'many'), 1);
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
