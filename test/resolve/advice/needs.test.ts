import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { resolveRequest } from '../../../src/plan/resolve-request.js';
import { jailbuild, succeed } from '../../support/cli.js';
import { DebianRoot } from '../../support/debian-root.js';
import { needs } from '../../support/need.js';
import { tempDir } from '../../support/temp-dir.js';

/** The part of a manifest that the tests read. */
interface Plan {
  readonly entries: readonly { readonly path: string }[];
  readonly advice?: readonly { readonly text: string; readonly add: readonly string[] }[];
}

const LOADER = '/lib64/ld-linux-x86-64.so.2';
const PASSWD = [
  'cacher:x:101:101::/nonexistent:/bin/false',
  '_timed:x:102:102::/nonexistent:/bin/false',
  'site:x:103:103::/nonexistent:/bin/false',
  'person:x:1000:1000::/home/person:/bin/sh',
];

describe('what programs need, on a root of its own', needs('gcc', '/bin/busybox'), () => {
  const root = new DebianRoot();
  const directory = tempDir();

  /** Compiles a program or, with `-shared`, a library. */
  const compile = (source: string, ...options: string[]): Buffer => {
    const output = path.join(directory, 'compiled');
    succeed('gcc', ['-x', 'c', '-', '-x', 'none', '-o', output, ...options], { input: source });
    return readFileSync(output);
  };
  const naming = (text: string) =>
    compile(`#include <stdio.h>\nint main(void) { return puts("${text}"); }`);
  const looksUp = () =>
    compile('#include <pwd.h>\nint main(int c, char **v) { return getpwnam(v[1]) == 0; }');
  const starts = (...words: string[]) => {
    const calls = words.map((word) => `execvp("${word}", v);`).join(' ');
    return compile(`#include <unistd.h>\nint main(int c, char **v) { ${calls} return c; }`);
  };
  const plan = (program: string, options: readonly string[] = []): Plan => {
    const { status, stdout, stderr } = jailbuild([
      ...[path.join(tempDir(), 'j'), program, '--sysroot', root.path, '--terminfo', 'none'],
      ...['--dry-run', '--json', ...options],
    ]);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Plan;
  };
  const adviceOn = (program: string) =>
    (plan(program).advice ?? []).map(({ text, add }) => `${text}: ${add.join(' ')}`);
  const pathsOf = (program: string, ...options: string[]) =>
    new Set(plan(program, options).entries.map((entry) => entry.path));

  before(() => {
    const library = succeed('gcc', ['-print-file-name=libc.so.6']).trim();
    root.put('/usr/lib/libc.so.6', readFileSync(realpathSync(library)), 0o755);
    root.put(LOADER, readFileSync(realpathSync(LOADER)), 0o755);
    root.put('/etc/passwd', PASSWD.map((line) => `${line}\n`).join(''));
    root.put('/etc/group', '');
    root.install('shell', { '/usr/bin/sh': readFileSync('/bin/busybox') }, 'Essential: yes\n');
    root.install('env', { '/usr/bin/env': starts('env') }, 'Essential: yes\n');
  });

  test('the interpreter of a script in any language lacks its library', () => {
    const files = { '/usr/bin/runner': naming('/usr/lib/runner'), '/usr/lib/runner/std.cmi': '' };
    root.install('runner', files);
    root.install('story', { '/usr/bin/story': '#!/usr/bin/runner\nbytes' }, 'Depends: runner\n');
    assert.deepEqual(adviceOn('story'), [
      'story is run by runner, which names /usr/lib/runner, from runner: --with-package',
    ]);
  });

  test('a path within a text is named', () => {
    const text = '(#*&)@(*&$Master Cookie:/usr/lib/master/main';
    root.install('master', {
      '/usr/bin/master': naming(text),
      '/usr/lib/master/main': '',
    });
    assert.deepEqual(adviceOn('master'), [
      'master names /usr/lib/master/main, from master: --with-package',
    ]);
  });

  test('a shell script lacks the directory of its package whose path it composes', () => {
    const script = (name: string, more = '') =>
      `#!/bin/sh\nPACKAGE=${name}\nVERSION="5.46"\nat=$(pwd)\n${more}ls "$at/$PACKAGE/$VERSION"\n`;
    root.install('maps', {
      '/usr/bin/maps': script('maps'),
      '/usr/lib/maps/5.46/data': '',
    });
    assert.deepEqual(adviceOn('maps'), [
      'maps names /usr/lib/maps/5.46, from maps: --with-package',
    ]);
    // A name that is assigned again is not known.
    root.install('maps2', {
      '/usr/bin/maps2': script('maps2', 'VERSION=6\n'),
      '/usr/lib/maps2/5.46/data': '',
    });
    assert.deepEqual(adviceOn('maps2'), []);
    // A directory of several packages is that of a language.
    const files = { '/usr/bin/maps3': script('maps3'), '/usr/lib/maps3/5.46/data': '' };
    root.install('maps3', files);
    root.install('maps3-more', { '/usr/lib/maps3/5.46/more': '' });
    assert.deepEqual(adviceOn('maps3'), []);
  });

  test('the user of a service is known by an option, by its name, and by a variable', () => {
    root.install('cacher', {
      '/usr/bin/cachers': looksUp(),
      '/etc/cacher.conf': '-m 64\n-u cacher\n',
    });
    root.install('timed', { '/usr/bin/timed': looksUp() });
    root.install('chowner', { '/usr/bin/chowner': looksUp() }, 'Essential: yes\n');
    root.install('site', {
      '/usr/bin/sitectl': '#!/bin/sh\n. /etc/site/envvars\nchowner "$SITE_RUN_USER" /run\n',
      '/etc/site/envvars': 'export SITE_RUN_USER=site\n',
    });
    root.install('people', {
      '/usr/bin/people': looksUp(),
      '/etc/people.conf': '-u person\n',
    });
    const user = (program: string) => adviceOn(program).filter((line) => /--user/.test(line));
    assert.deepEqual(user('cachers'), [
      '/etc/cacher.conf names the user cacher, which the jail lacks: --user cacher',
    ]);
    assert.deepEqual(user('timed'), [
      'timed names the user _timed, which the jail lacks: --user _timed',
    ]);
    assert.deepEqual(user('sitectl'), [
      '/etc/site/envvars names the user site, which the jail lacks: --user site',
    ]);
    assert.deepEqual(user('people'), []);
    // The packages of the program bring it.
    for (const program of ['cachers', 'timed', 'sitectl']) {
      assert.ok(pathsOf(program, '--with-package').has('/etc/passwd'), program);
    }
    assert.ok(!pathsOf('people', '--with-package').has('/etc/passwd'));
  });

  test('a script of the system runs with an interpreter of the system', async () => {
    root.install('lang', { '/usr/bin/lang': naming('hi') });
    root.install('says', { '/usr/bin/says': '#!/usr/bin/env lang\n' });
    root.put('/home/me/bin/lang', naming('me'), 0o755);
    root.put('/home/me/says', '#!/usr/bin/env lang\n', 0o755);
    const resolved = async (program: string) => {
      const search = ['/home/me/bin', '/usr/bin'];
      const request = { programs: [program], sysroot: root.path, path: search };
      const { files, environment } = await resolveRequest(request);
      const found = files.filter((file) => path.basename(file.path) === 'lang');
      return { found: found.map((file) => file.path), path: environment.PATH };
    };
    assert.deepEqual(await resolved('/usr/bin/says'), {
      found: ['/usr/bin/lang'],
      path: undefined,
    });
    // A script of a user runs with the user's, which the jail's PATH finds.
    const mine = await resolved('/home/me/says');
    assert.deepEqual(mine.found, ['/home/me/bin/lang']);
    assert.match(mine.path ?? '', /^\/home\/me\/bin:/);
  });

  test('configuration that the installation of a library made is advised, and comes with packages', () => {
    const offers = 'const char *sheet(void); const char *sheet(void) { return "/etc/sheet"; }';
    const library = compile(offers, '-shared', '-Wl,-soname,libsheet.so');
    root.put('/libsheet.so', library);
    const using = compile(
      'const char *sheet(void); int main(void) { return *sheet(); }',
      ...['-Wl,--no-as-needed', `${root.path}/libsheet.so`],
    );
    root.install('libsheet', { '/usr/lib/libsheet.so': library });
    root.install('prints', { '/usr/bin/prints': using }, 'Depends: libsheet\n');
    root.put('/etc/sheet', 'a4\n');
    root.put('/etc/hosts', '');
    assert.deepEqual(adviceOn('prints'), []);
    root.put('/var/lib/dpkg/info/libsheet.postinst', '#!/bin/sh\necho a4 >/etc/sheet\n');
    assert.deepEqual(adviceOn('prints'), [
      'prints loads libsheet.so, which names /etc/sheet: --include /etc/sheet',
    ]);
    assert.ok(pathsOf('prints', '--with-package').has('/etc/sheet'));
  });

  /** Installs a library of the given source, and a program of another package that loads it. */
  const installUsing = (
    name: string,
    source: string,
    files: Record<string, string>,
    fields = '',
  ) => {
    const library = compile(source, '-shared', `-Wl,-soname,lib${name}.so`);
    root.put(`/lib${name}.so`, library);
    const using = compile(
      `int ${name}(char **v); int main(int c, char **v) { return ${name}(v); }`,
      ...['-Wl,--no-as-needed', `${root.path}/lib${name}.so`],
    );
    root.install(`lib${name}`, { [`/usr/lib/lib${name}.so`]: library, ...files }, fields);
    root.install(`uses-${name}`, { [`/usr/bin/uses-${name}`]: using }, `Depends: lib${name}\n`);
  };

  test('modules that a library loads come with packages', () => {
    const modules = '/usr/lib/x86_64-linux-gnu/picture';
    const source = '#include <stdio.h>\nint picture(char **v) { return puts("picture"); }';
    const other = '/usr/lib/x86_64-linux-gnu/sound/wav.so';
    installUsing('picture', source, { [`${modules}/loaders/png.so`]: '', [other]: '' });
    const paths = pathsOf('uses-picture', '--with-package');
    assert.ok(paths.has(`${modules}/loaders/png.so`) && !paths.has(other));
  });

  test('a wrapper comes with the package of the same source whose program it runs', () => {
    const script =
      '#!/bin/sh\nd=$(dirname "$0")\nk=$KIND\n[ -x "$d/sim-fast" ] && k=fast\nexec "$d/sim-$k"\n';
    root.install('sim-common', { '/usr/bin/sim': script }, 'Source: sim\n');
    const files = { '/usr/bin/sim-fast': naming('hi'), '/usr/lib/sim/fast/std': '' };
    root.install('sim-fast', files, 'Source: sim\nDepends: sim-common\n');
    assert.ok(pathsOf('sim').has('/usr/bin/sim-fast'));
    assert.ok(pathsOf('sim', '--with-package').has('/usr/lib/sim/fast/std'));
  });

  test('the configuration of a server is known by its name', () => {
    const source = '#include <sys/socket.h>\nint main(void) { return accept(3, 0, 0); }';
    const files = {
      '/usr/sbin/proxy9': compile(source),
      '/usr/bin/proxy8': compile(source),
      '/etc/proxy9/filters': 'all\n',
      '/etc/proxy8/filters': 'all\n',
    };
    root.install('proxies', files);
    assert.deepEqual(adviceOn('/usr/sbin/proxy9'), [
      'proxy9 is a server with configuration in /etc/proxy9, from proxies: --with-package',
    ]);
    assert.deepEqual(adviceOn('proxy8'), []);
  });

  test('a user that the installation of a package made is that of its programs', () => {
    root.install('serves', { '/usr/sbin/serves': looksUp() });
    const script = '_USERNAME=site\nadduser --system "$_USERNAME"\nchmod cacher\n';
    root.put('/var/lib/dpkg/info/serves.postinst', script.replace('adduser', 'deluser'));
    assert.deepEqual(adviceOn('/usr/sbin/serves'), []);
    root.put('/var/lib/dpkg/info/serves.postinst', script);
    assert.deepEqual(adviceOn('/usr/sbin/serves'), [
      'serves names the user site, which the jail lacks: --user site',
    ]);
  });

  test('a program comes with the assembler of the compiler that it starts', () => {
    root.install('assembles', { '/usr/bin/assembles9': naming('hi') });
    const files = { '/usr/bin/compiles9': naming('hi'), '/usr/lib/compiles/include/std.h': '' };
    root.install('compiles', files, 'Depends: assembles\n');
    root.install(
      'translates',
      { '/usr/bin/translates': starts('compiles9') },
      'Depends: compiles\n',
    );
    const paths = pathsOf('translates', '--with-package');
    assert.ok(paths.has('/usr/bin/compiles9') && paths.has('/usr/bin/assembles9'));
  });

  test('a tool comes with its own files for building, a library without', () => {
    const [own, other] = ['/usr/share/aclocal/tool.m4', '/usr/share/aclocal/part.m4'];
    root.install('part', { [other]: '' }, 'Source: tool\n');
    const files = { '/usr/bin/tool': naming('hi'), [own]: '' };
    root.install('tool', files, 'Source: tool\nDepends: part\n');
    const paths = pathsOf('tool', '--with-package');
    assert.ok(paths.has(own) && !paths.has(other));
  });

  test('programs that start each other come with their packages', () => {
    root.install('third', { '/usr/bin/third9': naming('hi'), '/usr/share/third/table': '' });
    root.install('second', { '/usr/bin/second9': starts('third9') }, 'Depends: third\n');
    root.install('first', { '/usr/bin/first9': starts('second9') }, 'Depends: second\n');
    const paths = pathsOf('first9', '--with-package');
    for (const file of ['/usr/bin/second9', '/usr/bin/third9', '/usr/share/third/table'])
      assert.ok(paths.has(file), file);
  });

  test('a basic program that a script quotes comes with the shell that it starts', () => {
    const packs = compile(
      '#include <unistd.h>\nint main(int c, char **v) { return execv("/bin/sh", v); }',
    );
    root.install('packs', { '/usr/bin/packs': packs }, 'Essential: yes\n');
    root.install('perl', { '/usr/bin/perl': naming('hi') });
    root.install('wraps', { '/usr/bin/wraps': "#!/usr/bin/perl\nrun('packs', @ARGV);\n" });
    const paths = pathsOf('wraps', '--with-package');
    assert.ok(paths.has('/usr/bin/packs') && paths.has('/usr/bin/sh'));
  });

  test('a program comes with one of the dictionaries that it recommends', () => {
    const fields = 'Recommends: words-en | words\n';
    root.install(
      'spells',
      { '/usr/bin/spells': naming('/usr/lib/spells'), '/usr/lib/spells/a': '' },
      fields,
    );
    root.install('words-nl', { '/usr/share/nl/words': '' }, 'Provides: words\n');
    assert.ok(!pathsOf('spells', '--with-package').has('/usr/share/nl/words'));
    root.install('words-de', { '/usr/share/de/words': '' }, 'Provides: words\nArchitecture: all\n');
    assert.ok(pathsOf('spells', '--with-package').has('/usr/share/de/words'));
  });

  test('a script comes with modules of other packages, and programs that its own modules start', () => {
    root.install('python', { '/usr/bin/python3': naming('hi') });
    root.install('jq9', { '/usr/bin/j9': naming('hi'), '/usr/bin/j8': naming('hi') });
    const completes = '/usr/lib/python3/dist-packages/completes.py';
    root.install(
      'completes',
      { [completes]: '', '/usr/bin/completes': '#!/usr/bin/python3\n' },
      'Section: python\nArchitecture: all\n',
    );
    root.install(
      'query',
      {
        '/usr/bin/query': '#!/usr/bin/python3\nimport query\n',
        '/usr/lib/python3/dist-packages/query.py': 'Popen(["j9"])\n',
      },
      'Depends: jq9, completes, python\n',
    );
    const paths = pathsOf('query', '--with-package');
    assert.ok(paths.has(completes) && paths.has('/usr/bin/j9'));
    assert.ok(!paths.has('/usr/bin/j8') && !paths.has('/usr/bin/completes'));
  });

  test('a script comes with libraries that modules without machine code open by name', () => {
    const library = () => compile('int f(void); int f(void) { return 1; }', '-shared');
    const triplet = '/usr/lib/x86_64-linux-gnu';
    const modules = '/usr/lib/python3/dist-packages';
    root.install('python9', { '/usr/bin/python9': naming('hi') });
    root.install('libcalled1', { [`${triplet}/libcalled.so.1`]: library() });
    root.install(
      'called',
      { [`${modules}/called.py`]: '' },
      'Section: python\nArchitecture: all\nDepends: libcalled1\n',
    );
    root.install('libwindow1', { [`${triplet}/libwindow.so.1`]: library() }, 'Depends: libfont1\n');
    root.install('libfont1', { [`${triplet}/libfont.so.1`]: library() }, 'Depends: faces\n');
    root.install('faces', { '/usr/share/faces/face': '' }, 'Architecture: all\n');
    root.install('drawing', { [`${modules}/drawing.so`]: library() }, 'Section: python\n');
    root.install('libother1', { [`${triplet}/libother.so.1`]: library() });
    root.install('gir-base', { [`${triplet}/girepository-1.0/Base-1.typelib`]: '' });
    root.install(
      'gir-window',
      { [`${triplet}/girepository-1.0/Window-1.typelib`]: '' },
      'Depends: libwindow1, gir-base\n',
    );
    root.install(
      'bound',
      { [`${modules}/bound.so`]: library() },
      'Section: python\nDepends: libother1, drawing\n',
    );
    root.install(
      'windowed',
      { '/usr/bin/windowed': '#!/usr/bin/python9\n' },
      'Architecture: all\nDepends: python9, called, bound, gir-window\n',
    );
    const paths = pathsOf('windowed', '--with-package');
    for (const name of ['libcalled.so.1', 'libwindow.so.1', 'girepository-1.0/Base-1.typelib']) {
      assert.ok(paths.has(`${triplet}/${name}`), name);
    }
    assert.ok(paths.has(`${modules}/drawing.so`) && paths.has('/usr/share/faces/face'));
    // Modules in machine code link their libraries.
    assert.ok(paths.has(`${modules}/bound.so`) && !paths.has(`${triplet}/libother.so.1`));
  });

  test('a cache beside shared data comes with the data of one of several packages', () => {
    const shared = '/usr/share/settings';
    root.install('set-data', { [`${shared}/set.xml`]: '' }, 'Architecture: all\n');
    root.install('unset', { [`${shared}/unset.xml`]: '' });
    root.install('set', { '/usr/bin/set9': naming('hi') }, 'Depends: set-data\n');
    for (const name of ['all.compiled', 'mine.xml']) root.put(`${shared}/${name}`, '');
    const paths = pathsOf('set9', '--with-package');
    const found = [...paths].filter((at) => at.startsWith(`${shared}/`));
    assert.deepEqual(found, [`${shared}/all.compiled`, `${shared}/set.xml`]);
  });

  test('a program needs the shell for command lines of a library of its own source package', () => {
    const runs = (name: string) =>
      `#include <stdlib.h>\nint ${name}(char **v) { return v[1] ? system("scan9 -s vendor 2>/dev/null") : 0; }`;
    installUsing('disk', runs('disk'), {}, 'Source: uses-disk\n');
    installUsing('tape', runs('tape'), {});
    assert.deepEqual(adviceOn('uses-disk'), [
      'uses-disk may run commands through /bin/sh, which the jail lacks: /bin/sh',
    ]);
    assert.deepEqual(adviceOn('uses-tape'), []);
  });

  test('a user to whom the installation of a package gives files is that of its programs', () => {
    root.put('/etc/passwd', [...PASSWD, 'web:x:33:33::/srv:/bin/false'].join('\n'));
    root.install('caches', { '/usr/sbin/caches': looksUp() });
    const script = '/var/lib/dpkg/info/caches.postinst';
    root.put(script, '#!/bin/sh\ngroupadd web\nchgrp web /srv\n');
    assert.deepEqual(adviceOn('/usr/sbin/caches'), []);
    for (const line of [
      'chown -R web:web /srv',
      'install -d -o web /srv',
      'dpkg-statoverride --update --add web root 0750 /srv',
    ]) {
      root.put(script, `#!/bin/sh\n${line}\n`);
      assert.deepEqual(
        adviceOn('/usr/sbin/caches'),
        ['caches names the user web, which the jail lacks: --user web'],
        line,
      );
    }
  });

  test('empty files of state that an installation made come with packages, others do not', () => {
    const readme = '/var/games/plays/readme';
    root.install('plays', { '/usr/bin/plays': naming('hi'), [readme]: '' });
    const [scores, saved] = ['/var/games/plays/scores', '/var/games/plays/saved'];
    root.put(scores, '');
    root.put(saved, 'of me\n');
    const paths = pathsOf('plays', '--with-package');
    assert.ok(paths.has(scores) && !paths.has(saved));
  });

  test('a library with modules needs more than its package', () => {
    const source =
      '#include <stdio.h>\nint checker(char **v) { return puts("/usr/share/checker"); }';
    installUsing('checker', source, { '/usr/share/checker/order': '' }, 'Source: uses-checker\n');
    assert.deepEqual(adviceOn('uses-checker'), [
      'uses-checker names /usr/share/checker, from libchecker: --package libchecker',
    ]);
    installUsing(
      'speller',
      source.replaceAll('checker', 'speller'),
      { '/usr/share/speller/order': '', '/usr/lib/speller/words.so': '' },
      'Source: uses-speller\n',
    );
    assert.deepEqual(adviceOn('uses-speller'), [
      'uses-speller names /usr/share/speller, from libspeller: --with-package',
    ]);
  });

  test('a script comes with a program that is found through an alternative, behind a package of none', () => {
    const java = '/usr/lib/vm/bin/vm9';
    root.install('vm', { [java]: naming('hi'), '/usr/lib/vm/lib/modules': '' });
    root.install('default-vm', {}, 'Depends: vm\n');
    root.link('/etc/alternatives/vm9', java);
    root.link('/usr/bin/vm9', '/etc/alternatives/vm9');
    root.put('/var/lib/dpkg/alternatives/vm9', `auto\n/usr/bin/vm9\n\n${java}\n1\n\n`);
    const script =
      '#!/bin/sh\nif [ -n "$VM" ]; then x=$VM; else x=$(which vm9); fi\n"$x" -version\n';
    root.install('builds', { '/usr/bin/builds': script }, 'Depends: default-vm | vm-runtime\n');
    const paths = pathsOf('builds', '--with-package');
    assert.ok(paths.has(java) && paths.has('/usr/bin/vm9') && paths.has('/usr/lib/vm/lib/modules'));
  });

  test('a program that authenticates comes with what PAM reads for it, without passwords', () => {
    const offers = 'int pam_start(void); int pam_start(void) { return 0; }';
    const library = compile(offers, '-shared', '-Wl,-soname,libpam.so.0');
    root.put('/libpam.so', library);
    root.install('libpam', { '/usr/lib/libpam.so.0': library });
    const using = compile(
      'int pam_start(void); int main(void) { return pam_start(); }',
      `${root.path}/libpam.so`,
    );
    root.install(
      'enters',
      { '/usr/bin/enters': using, '/etc/pam.d/enters': '' },
      'Depends: libpam\n',
    );
    const module = compile('const char *p = "/etc/security/limits.conf";', '-shared');
    root.put('/usr/lib/security/pam_ok.so', module);
    root.put('/usr/lib/security/pam_never.so', module);
    root.put('/etc/security/limits.conf', '');
    root.install('others', { '/etc/pam.d/unused': 'auth required pam_never.so\n' });
    root.put('/etc/pam.d/common', '-auth [success=1 default=ignore] pam_ok.so nullok\n');
    root.put('/etc/pam.d/enters', '# auth required pam_never.so\n@include common\n');
    root.put('/etc/shadow', 'root:x:1::::::\n');
    assert.deepEqual(adviceOn('enters'), [
      'enters authenticates through PAM, but the jail has no /etc/pam.d: --with-package',
    ]);
    const paths = pathsOf('enters', '--with-package');
    for (const file of [
      '/etc/pam.d/common',
      '/usr/lib/security/pam_ok.so',
      '/etc/security/limits.conf',
    ])
      assert.ok(paths.has(file), file);
    for (const file of ['/etc/pam.d/unused', '/usr/lib/security/pam_never.so', '/etc/shadow'])
      assert.ok(!paths.has(file), file);
  });

  test('a program of the same package is known by an option', () => {
    const calls = 'execvp(c > 1 ? v[1] : "x", v);';
    const source = `#include <stdio.h>\n#include <unistd.h>\nint main(int c, char **v) { puts("--bus-daemon"); puts("--bus-tool="); ${calls} }`;
    const files = { '/usr/bin/bus-daemon': naming('hi'), '/usr/bin/bus-tool': naming('hi') };
    root.install('bus', { '/usr/bin/runs-bus': compile(source), ...files });
    assert.deepEqual(adviceOn('runs-bus'), [
      'runs-bus names /usr/bin/bus-daemon, from bus: --with-package',
    ]);
    assert.ok(pathsOf('runs-bus', '--with-package').has('/usr/bin/bus-daemon'));
  });

  test('data that a program names is that of one package alone, also of no dependency', () => {
    root.install('keys', { '/usr/share/keys/us': '' }, 'Architecture: all\n');
    root.install('many', { '/usr/share/many/a': '' }, 'Architecture: all\n');
    root.install('more', { '/usr/share/many/b': '' }, 'Architecture: all\n');
    for (const name of ['keys', 'many']) {
      root.install(`compiles-${name}`, {
        [`/usr/bin/compiles-${name}`]: naming(`/usr/share/${name}`),
      });
    }
    assert.deepEqual(adviceOn('compiles-keys'), [
      'compiles-keys names /usr/share/keys, from keys: --package keys',
    ]);
    assert.ok(pathsOf('compiles-keys', '--with-package').has('/usr/share/keys/us'));
    assert.deepEqual(adviceOn('compiles-many'), []);
  });

  test('the program that a library starts comes with packages', () => {
    root.install('cipher', { '/usr/bin/cipher9': naming('hi'), '/usr/bin/cipher8': naming('hi') });
    root.install('ciphers', {}, 'Depends: cipher\n');
    const source =
      '#include <unistd.h>\nint seals(char **v) { return v[1] ? execv(v[1], v) : execvp("cipher9", v); }';
    installUsing('seals', source, {}, 'Depends: ciphers\n');
    const paths = pathsOf('uses-seals', '--with-package');
    assert.ok(paths.has('/usr/bin/cipher9') && !paths.has('/usr/bin/cipher8'));
  });

  test('an empty directory for temporary files comes with packages if a program names it', () => {
    for (const directory of ['/var/tmp/mine', '/var/lock/mine']) root.put(directory, '');
    root.install('keeps', { '/usr/bin/keeps': naming('/var/tmp') });
    root.install('locks', { '/usr/bin/locks': '#!/bin/sh\nmkdir "/var/lock/$1"\n' });
    root.install('neither', { '/usr/bin/neither': naming('/var/tmp2') });
    const keeps = pathsOf('keeps', '--with-package');
    assert.ok(keeps.has('/var/tmp') && !keeps.has('/var/tmp/mine') && !keeps.has('/var/lock'));
    assert.ok(pathsOf('locks', '--with-package').has('/var/lock'));
    assert.ok(!pathsOf('neither', '--with-package').has('/var/tmp'));
  });

  test('a program that converts a single character set lacks its module', () => {
    const converting = (...sets: string[]) => {
      const calls = sets.map((set) => `iconv_open("${set}", v[1]);`).join(' ');
      return compile(`#include <iconv.h>\nint main(int c, char **v) { ${calls} return 0; }`);
    };
    root.install('one', { '/usr/bin/one': converting('ISO_8859-1', 'UTF-8') });
    root.install('two', { '/usr/bin/two': converting('ISO_8859-1', 'KOI8-R') });
    assert.deepEqual(adviceOn('one'), [
      'one converts ISO_8859-1, for which the jail has no module: --gconv ISO_8859-1',
    ]);
    assert.deepEqual(adviceOn('two'), []);
  });

  test('a provider of OpenSSL that a program loads by name is advised, and comes with packages', () => {
    const modules = '/usr/lib/x86_64-linux-gnu/ossl-modules';
    const offers = `const char *where = "MODULESDIR: \\"${modules}\\""; int OSSL_PROVIDER_load(void *c, const char *n); int OSSL_PROVIDER_load(void *c, const char *n) { return 0; }`;
    const library = compile(offers, '-shared', '-Wl,-soname,libcrypto.so.3');
    root.put('/libcrypto.so', library);
    const module = compile('int x;', '-shared');
    root.install('libssl', {
      '/usr/lib/libcrypto.so.3': library,
      [`${modules}/legacy.so`]: module,
      [`${modules}/fips.so`]: module,
    });
    const using = compile(
      'int OSSL_PROVIDER_load(void *c, const char *n); int main(void) { return OSSL_PROVIDER_load(0, "legacy"); }',
      `${root.path}/libcrypto.so`,
    );
    root.install('radius', { '/usr/bin/radius': using }, 'Depends: libssl\n');
    assert.deepEqual(adviceOn('radius'), [
      `radius may load ${modules}/legacy.so: ${modules}/legacy.so`,
    ]);
    const paths = pathsOf('radius', '--with-package');
    assert.ok(paths.has(`${modules}/legacy.so`) && !paths.has(`${modules}/fips.so`));
  });
});
