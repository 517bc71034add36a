import assert from 'node:assert/strict';
import { chmodSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe('what advice leaves out, since it cures nothing', needs('gcc'), () => {
  const root = new DebianRoot();

  /** Compiles a program that names texts, and starts the first of them if it is to start others. */
  const compile = (texts: readonly string[], starts = true, ...options: string[]): Buffer => {
    const output = path.join(tempDir(), 'compiled');
    const strings = texts.map((text) => `"${text}"`).join(', ');
    const call = starts ? 'execv(own[0], v)' : 'c';
    const source = `#include <unistd.h>
const char *own[] = { ${strings} };
int main(int c, char **v) { return ${call}; }`;
    succeed('gcc', ['-x', 'c', '-', '-x', 'none', '-o', output, ...options], { input: source });
    return readFileSync(output);
  };
  const adviceOn = (program: string) => {
    const target = path.join(tempDir(), 'j');
    const options = ['--sysroot', root.path, '--terminfo', 'none', '--dry-run'];
    const { status, stderr } = jailbuild([target, program, ...options]);
    assert.equal(status, 0, stderr);
    return [...stderr.matchAll(/advice: (.*)/g)].map(([, text]) => text);
  };

  before(() => {
    const libc = succeed('gcc', ['-print-file-name=libc.so.6']).trim();
    const loader = '/lib64/ld-linux-x86-64.so.2';
    root.put('/usr/lib/libc.so.6', readFileSync(realpathSync(libc)), 0o755);
    root.put(loader, readFileSync(realpathSync(loader)), 0o755);
    root.install('dash', { '/usr/bin/sh': compile(['x']) }, 'Essential: yes\n');
  });

  test('a helper that works only with the rights of another user', () => {
    const install = (name: string, mode: number) => {
      const helper = `/usr/lib/${name}/signs`;
      root.install(name, { [`/usr/bin/${name}`]: compile([helper]), [helper]: '' });
      chmodSync(root.path + helper, mode);
    };
    install('plain', 0o755);
    install('rights', 0o4755);
    assert.deepEqual(adviceOn('plain'), [
      'plain names /usr/lib/plain/signs, from plain: add --with-package',
    ]);
    assert.deepEqual(adviceOn('rights'), []);
  });

  test('the system shell for the tools of another shell', () => {
    const named = { '/usr/bin/finny': compile(['/bin/sh']), '/usr/bin/wrap': compile(['/bin/sh']) };
    root.install('finny', { '/usr/bin/finny': named['/usr/bin/finny'] }, 'Section: shells\n');
    root.install('wrap', { '/usr/bin/wrap': named['/usr/bin/wrap'] }, 'Section: utils\n');
    assert.deepEqual(adviceOn('finny'), []);
    assert.deepEqual(adviceOn('wrap'), [
      'wrap may run commands through /bin/sh, which the jail lacks: add /bin/sh',
    ]);
  });

  test('modules for the scripts of an interpreter', () => {
    const install = (name: string, section: string) => {
      const directory = `/usr/lib/${name}/own`;
      const files = { [`/usr/bin/${name}`]: compile([directory]), [`${directory}/a.so`]: '' };
      root.install(name, files, `Section: ${section}\n`);
    };
    install('runs', 'interpreters');
    install('draws', 'graphics');
    assert.deepEqual(adviceOn('runs'), []);
    assert.deepEqual(adviceOn('draws'), [
      'draws names /usr/lib/draws/own, from draws: add --with-package',
    ]);
  });

  test('configuration of a package of the source that is not for this program', () => {
    const install = (name: string) => {
      root.install(
        name,
        { [`/usr/bin/${name}`]: compile(['prof-extra.rc', 'show-main.rc'], false) },
        'Source: utils\nDepends: show-config\n',
      );
    };
    const files = { '/etc/prof-extra.rc': 'a = b\n', '/etc/show-main.rc': 'a = b\n' };
    root.install('show-config', files, 'Source: utils\n');
    install('show-main');
    install('shapes');
    assert.deepEqual(adviceOn('show-main'), [
      'show-main names /etc/show-main.rc, from show-config: add --with-package',
    ]);
    assert.deepEqual(adviceOn('shapes'), []);
  });

  test('a program that only a library may start, for a program that starts none', () => {
    const launcher = '/usr/lib/gi/io-launch-desktop';
    const library = compile(
      ['io-launch-desktop'],
      true,
      '-shared',
      '-fPIC',
      '-Wl,-soname,libgi.so',
    );
    root.put('/libgi.so', library);
    root.install('libgi', { '/usr/lib/libgi.so': library, [launcher]: '' }, 'Source: gi\n');
    chmodSync(root.path + launcher, 0o755);
    const using = ['-Wl,--no-as-needed', `${root.path}/libgi.so`];
    const fields = 'Source: gi\nDepends: libgi\n';
    root.install('opens', { '/usr/bin/opens': compile(['x'], true, ...using) }, fields);
    root.install('reads', { '/usr/bin/reads': compile(['x'], false, ...using) }, fields);
    assert.deepEqual(adviceOn('opens'), [
      `opens names ${launcher}, from libgi: add --with-package`,
    ]);
    assert.deepEqual(adviceOn('reads'), []);
  });

  test('a command that a script computes, if its package is advised', () => {
    const text = '#!/bin/sh\nlib=$(dirname /usr/lib/suite/x)\n"$lib/$1"\n';
    root.install('suite', {
      '/usr/bin/suite': `${text}. /usr/lib/suite/data\n`,
      '/usr/lib/suite/x': '',
    });
    root.install('lone', { '/usr/bin/lone': text.replaceAll('suite', 'lone') });
    assert.deepEqual(adviceOn('lone'), [
      'lone computes a command at run time (line 3: "$lib/$1"): record a run with jailbuild trace',
    ]);
    assert.match(
      adviceOn('suite').join('\n'),
      /^suite names \/usr\/lib\/suite\S*, from suite: add --with-package$/,
    );
  });
});
