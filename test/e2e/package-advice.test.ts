import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
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

describe('advice on compiled programs', needs('gcc'), () => {
  const root = new DebianRoot();
  const directory = tempDir();

  before(() => {
    const system = succeed('gcc', ['-print-file-name=libc.so.6']).trim();
    const loader = '/lib64/ld-linux-x86-64.so.2';
    root.put('/usr/lib/libc.so.6', readFileSync(realpathSync(system)));
    root.put(loader, readFileSync(realpathSync(loader)), 0o755);
  });

  const library = (name: string, text: string) => {
    const file = `lib${name}.so`;
    const compiled = compile(directory, offers(name, text), '-shared', `-Wl,-soname,${file}`);
    root.put(`/${file}`, compiled);
    return { [`/usr/lib/${file}`]: compiled };
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
