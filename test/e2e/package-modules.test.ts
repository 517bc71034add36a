import assert from 'node:assert/strict';
import { chmodSync, readFileSync, realpathSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('modules, languages and shared directories of packages', needs('gcc'), () => {
  const root = new DebianRoot();
  const directory = tempDir();
  const sysroot = ['--sysroot', root.path, '--terminfo', 'none', '--dry-run'];

  /** Compiles a program that calls functions, and returns a text. */
  const compile = (calls: readonly string[], text: string, ...options: string[]): Buffer => {
    const output = path.join(directory, 'compiled');
    const declared = calls.map((name) => `__attribute__((weak)) long ${name}(const char *);`);
    const called = calls.map((name) => `${name}(v[0]);`);
    const source = `${declared.join('\n')}
const char *own(int c, char **v); const char *own(int c, char **v) { ${called.join(' ')} return "${text}"; }
int main(int c, char **v) { return *own(c, v); }`;
    const flags = ['-fno-builtin', '-w', '-x', 'c', '-', '-x', 'none', '-o', output];
    succeed('gcc', [...flags, ...options], { input: source });
    return readFileSync(output);
  };
  /** Compiles a library, and a program that needs it. */
  const compileLibrary = (name: string, calls: readonly string[]): Buffer => {
    const built = compile(calls, name, '-shared', '-fPIC', `-Wl,-soname,lib${name}.so`);
    root.put(`/lib${name}.so`, built);
    return built;
  };
  const needing = (library: string, text = '') =>
    compile([], text, '-Wl,--no-as-needed', `${root.path}/lib${library}.so`);
  const adviceOn = (program: string) => {
    const { status, stderr } = jailbuild([path.join(tempDir(), 'j'), program, ...sysroot]);
    assert.equal(status, 0, stderr);
    return [...stderr.matchAll(/advice: (.*)/g)].map(([, text]) => text);
  };
  const brought = (program: string) => {
    const target = path.join(tempDir(), 'j');
    const built = jailbuild([target, program, ...sysroot, '--with-package', '--json']);
    assert.equal(built.status, 0, built.stderr);
    const manifest = JSON.parse(built.stdout) as { readonly entries: readonly { path: string }[] };
    return { paths: manifest.entries.map((entry) => entry.path), stderr: built.stderr };
  };

  const libc = () => realpathSync(succeed('gcc', ['-print-file-name=libc.so.6']).trim());
  const installServer = (name: string, files: Readonly<Record<string, string | Buffer>>) => {
    root.install(name, files);
    chmodSync(`${root.path}/usr/sbin/${name}`, 0o755);
  };

  before(() => {
    const loader = '/lib64/ld-linux-x86-64.so.2';
    root.put('/usr/lib/libc.so.6', readFileSync(libc()), 0o755);
    root.put(loader, readFileSync(realpathSync(loader)), 0o755);
  });

  const modulesIn = (at: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${at}/mod_${i}.so`, '']));

  test('many modules that a program opens are advised, a few are not', () => {
    const install = (name: string, opener: string, count: number) =>
      installServer(name, {
        [`/usr/sbin/${name}`]: compile([opener], ''),
        ...modulesIn(`/usr/lib/${name}/modules`, count),
      });
    install('webs', 'apr_dso_load', 20);
    assert.deepEqual(adviceOn('webs'), [
      'webs opens modules in /usr/lib/webs, from webs: add --with-package',
    ]);
    assert.ok(brought('webs').paths.includes('/usr/lib/webs/modules/mod_19.so'));
    install('input', 'dlopen', 3);
    install('closed', 'puts', 20);
    for (const program of ['input', 'closed']) assert.deepEqual(adviceOn(program), []);
  });

  test('modules that a library of the same source opens for another one are advised, and come with it', () => {
    const install = (name: string, coreSource: string) => {
      const core = { [`/usr/lib/lib${name}core.so`]: compileLibrary(`${name}core`, ['dlopen']) };
      root.install(`lib${name}core`, core, `Source: ${coreSource}\n`);
      const options = ['-shared', '-fPIC', `-Wl,-soname,lib${name}gui.so`, '-Wl,--no-as-needed'];
      const gui = compile([], '', ...options, `${root.path}/lib${name}core.so`);
      root.put(`/lib${name}gui.so`, gui);
      root.install(
        `lib${name}gui`,
        { [`/usr/lib/lib${name}gui.so`]: gui, ...modulesIn(`/usr/lib/${name}5/plugins`, 20) },
        `Source: ${name}\nDepends: lib${name}core\n`,
      );
      const program = needing(`${name}gui`);
      root.install(`${name}pad`, { [`/usr/bin/${name}pad`]: program }, `Depends: lib${name}gui\n`);
    };
    install('qq', 'qq');
    assert.deepEqual(adviceOn('qqpad'), [
      'qqpad loads libqqgui.so, which opens modules in /usr/lib/qq5, from libqqgui: add --with-package',
    ]);
    assert.ok(brought('qqpad').paths.includes('/usr/lib/qq5/plugins/mod_19.so'));
    install('rr', 'other');
    assert.deepEqual(adviceOn('rrpad'), []);
    assert.ok(!brought('rrpad').paths.includes('/usr/lib/rr5/plugins/mod_19.so'));
  });

  test('a program that accepts connections through a library is a server, and needs no CA certificates', () => {
    const calls = ['apr_socket_accept', 'SSL_CTX_set_default_verify_paths'];
    const files = { '/usr/sbin/serve': compile(calls, ''), '/etc/serve/serve.conf': '' };
    installServer('serve', files);
    assert.deepEqual(adviceOn('serve'), [
      'serve is a server with configuration in /etc/serve, from serve: add --with-package',
    ]);
    root.install('fetch', { '/usr/bin/fetch': compile(calls.slice(1), '') });
    assert.deepEqual(adviceOn('fetch'), [
      'fetch verifies TLS peers, but the jail has no CA certificates: add --ca-certificates',
    ]);
  });

  test('a header among the names of a program is no data', () => {
    const install = (name: string, file: string) => {
      const program = compile([], path.basename(file));
      root.install(name, { [`/usr/bin/${name}`]: program }, `Depends: ${name}-parts\n`);
      root.install(`${name}-parts`, { [file]: '' }, `Source: ${name}\n`);
    };
    install('inlines', '/usr/lib/inlines/vectors.h');
    assert.deepEqual(adviceOn('inlines'), []);
    install('tabulates', '/usr/lib/tabulates/vectors.tab');
    assert.deepEqual(adviceOn('tabulates'), [
      'tabulates names /usr/lib/tabulates/vectors.tab, from tabulates-parts: add --with-package',
    ]);
  });

  test('of a large directory that a program names, the files of its dependency are added', () => {
    const [mine, other] = ['/usr/lib/lang/1/boot.go', '/usr/lib/lang/2/boot.go'];
    root.install('lang-1', { [mine]: '' });
    root.install('lang-2', { [other]: '' });
    truncateSync(root.path + other, 65 << 20);
    root.install('sings', { '/usr/bin/sings': compile([], '/usr/lib/lang') }, 'Depends: lang-1\n');
    const { paths, stderr } = brought('sings');
    assert.ok(paths.includes(mine) && !paths.includes(other));
    assert.match(
      stderr,
      /warning: \/usr\/lib\/lang: is named by a program and larger than 64 MiB, so only the files of lang-1 are added: add --include \/usr\/lib\/lang\n/,
    );
  });

  test('the libraries of an architecture are not taken for data of a program that names their directory', () => {
    const libraries = '/usr/lib/x86_64-linux-gnu';
    root.install('parts', { [`${libraries}/parts/part`]: '' });
    root.install('far', { [`${libraries}/far/large`]: '' });
    root.install('loads', { '/usr/bin/loads': compile([], libraries) }, 'Depends: parts\n');
    const { paths, stderr } = brought('loads');
    assert.ok(!paths.some((file) => file.startsWith(`${libraries}/`)), paths.join('\n'));
    assert.doesNotMatch(stderr, /warning/);
  });

  test('a program that modules in an embedded language start is added', () => {
    root.install('libspawns', {
      '/usr/lib/libspawns.so': compileLibrary('spawns', ['posix_spawn']),
    });
    root.install('dr', { '/usr/bin/dr': '#!/usr/bin/dr\n', '/usr/bin/dr-other': '' });
    const install = (name: string, text: string) => {
      const depends = `Source: ${name}\nDepends: ${name}-data, libspawns, dr\n`;
      root.install(name, { [`/usr/bin/${name}`]: needing('spawns') }, depends);
      root.install(`${name}-data`, { [`/usr/share/${name}/run.scm`]: text }, `Source: ${name}\n`);
    };
    install('score', '(system (list "dr" "-q"))');
    install('sheet', '(display "nothing")');
    assert.ok(brought('score').paths.includes('/usr/bin/dr'));
    assert.ok(!brought('sheet').paths.includes('/usr/bin/dr'));
  });

  test('a library of a language that converts text has the usual character sets', () => {
    // Where the C library looks for them, wherever it is.
    const place = `${path.dirname(libc())}/gconv`;
    const modules = [`${place}/IBM850.so`, `${place}/ISO8859-1.so`];
    for (const module of modules) root.put(module, compile([], '', '-shared', '-fPIC'));
    root.put(
      `${place}/gconv-modules`,
      'module ISO-8859-1// INTERNAL ISO8859-1 1\nalias CP850// IBM850//\nmodule IBM850// INTERNAL IBM850 1\n',
    );
    const install = (name: string, section: string) => {
      const library = { [`/usr/lib/lib${name}.so`]: compileLibrary(name, ['iconv_open']) };
      root.install(`lib${name}`, library, `Section: ${section}\n`);
      root.install(`use-${name}`, { [`/usr/bin/${name}`]: needing(name) }, `Depends: lib${name}\n`);
    };
    install('scheme', 'lisp');
    install('plain', 'libs');
    const charsetsOf = (program: string) =>
      brought(program).paths.filter((file) => file.startsWith(place) && file.endsWith('.so'));
    assert.deepEqual(charsetsOf('scheme'), modules);
    assert.deepEqual(charsetsOf('plain'), []);
  });

  test('configuration in a package that depends on that of the program is added, with what it names', () => {
    const install = (name: string, source: string) => {
      const program = compile([], `/etc/${name}`);
      root.install(`${name}-bin`, { [`/usr/bin/${name}`]: program }, `Source: ${source}\n`);
      const text = `# /etc/${name}-other\nTypes /etc/${name}-types\nShow /usr/share/${name}-far/x\n`;
      const files = { [`/etc/${name}/main.conf`]: text };
      root.install(name, files, `Source: web\nDepends: ${name}-bin, ${name}-types\n`);
      const types = { [`/etc/${name}-types`]: '', [`/etc/${name}-other`]: '' };
      root.install(`${name}-types`, types);
      root.install(`${name}-far`, { [`/usr/share/${name}-far/x`]: '' });
      return brought(name).paths.filter(
        (file) => file.includes(`/${name}`) && !file.includes('bin'),
      );
    };
    assert.deepEqual(install('web', 'web'), ['/etc/web', '/etc/web-types', '/etc/web/main.conf']);
    assert.deepEqual(install('other', 'other'), []);
  });
});
