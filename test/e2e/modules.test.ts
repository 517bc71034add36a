import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot, needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (name: string) => path.join(directory, name);

/** Compiles a file; a library if its name ends in .so. */
function compile(compiler: string, name: string, code: string, ...flags: string[]): string {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at('source.c'), code);
  const shared = name.endsWith('.so') ? ['-shared', '-fPIC'] : [];
  succeed(compiler, [...shared, '-o', at(name), at('source.c'), ...flags]);
  return at(name);
}

function built(name: string, ...args: string[]): string {
  const { status, stderr } = jailbuild([at(`jail-${name}`), ...args]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return at(`jail-${name}`);
}

const OPENER = `#include <dlfcn.h>
#include <stddef.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (dlopen(argv[i], RTLD_NOW) == NULL) return i;
  return 0;
}`;

describe('modules', needsRoot('cc', 'chroot'), () => {
  test('are resolved with the search paths of the programs that load them', () => {
    const helper = compile('cc', 'private/libhelper.so', 'int h(void) { return 1; }');
    const code = 'int h(void); int m(void) { return h(); }';
    const module = compile('cc', 'modules/m.so', code, `-L${at('private')}`, '-lhelper');
    const rpath = `-Wl,--disable-new-dtags,-rpath,${at('private')}`;
    const program = compile('cc', 'opener', OPENER, rpath);
    assert.equal(exec(program, [module]).status, 0);

    const alone = jailbuild([at('jail-alone'), 'true', '--include', module]);
    assert.match(alone.stderr, /libhelper\.so: library not found, needed by .*m\.so/);
    for (const args of [
      [program, '--include', at('modules')],
      [program, module],
    ]) {
      const jail = built(`rpath-${args.length}`, ...args);
      assert.ok(existsSync(jail + helper));
      assert.equal(exec('chroot', [jail, program, module]).status, 0);
    }
  });

  test('cause no warning for libraries that another object of the jail provides', () => {
    // As libawt.so needs libjvm.so, which java loads first from a directory that no file names.
    compile('cc', 'vm/deep/libvm.so', 'int vm(void) { return 1; }', '-Wl,-soname,libvm.so');
    const code = 'int vm(void); int n(void) { return vm(); }';
    const native = compile('cc', 'vm/libnative.so', code, `-L${at('vm/deep')}`, '-lvm');
    const program = compile('cc', 'vm/start', OPENER);
    const jail = built('vm', program, '--include', at('vm'));
    const opened = exec('chroot', [jail, program, at('vm/deep/libvm.so'), native]);
    assert.equal(opened.status, 0);
    const bare = jailbuild([at('jail-bare'), program, '--include', native]);
    assert.match(bare.stderr, /libvm\.so: library not found/);
  });

  test('include the libraries of an included /etc/ld.so.preload', () => {
    const root = built('preload-root', 'cat', '--no-record');
    const code = `#include <unistd.h>
__attribute__((constructor)) static void hello(void) { write(1, "preloaded\\n", 10); }`;
    const library = compile('cc', 'libpreload.so', code);
    mkdirSync(`${root}/opt`);
    copyFileSync(library, `${root}/opt/libpreload.so`);
    writeFileSync(`${root}/etc/ld.so.preload`, '# first\n/opt/libpreload.so /opt/gone.so\n');
    const jail = at('jail-preload');
    const include = ['--include', '/etc/ld.so.preload'];
    const run = jailbuild([jail, 'cat', '--sysroot', root, ...include]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /\/etc\/ld\.so\.preload: names \/opt\/gone\.so, which was not found/);
    assert.match(exec('chroot', [jail, 'cat', '/dev/null']).stdout, /preloaded/);
    const without = jailbuild([at('jail-unpreloaded'), 'cat', '--sysroot', root, '--verbose']);
    assert.match(without.stderr, /hint: libraries that \/etc\/ld\.so\.preload names \(\/opt\/lib/);
  });
});

describe('modules of musl', needsRoot('musl-gcc', 'chroot'), () => {
  test('are resolved with the musl loader, on a glibc host', () => {
    const module = compile(
      'musl-gcc',
      'musl/m.so',
      'int puts(const char *); int m(void) { return puts("m"); }',
    );
    const program = compile('musl-gcc', 'musl/opener', OPENER);
    for (const args of [
      [program, '--include', module],
      ['true', program, module],
    ]) {
      const jail = built(`musl-${args.length}-${args[0] === 'true'}`, ...args);
      assert.equal(exec('chroot', [jail, program, module]).status, 0);
    }
  });
});

/** Returns the final path of a program on this machine. */
const realProgram = (name: string): string =>
  succeed('readlink', ['-f', succeed('sh', ['-c', 'command -v "$0"', name]).trim()]).trim();
const javaHome = (): string => path.dirname(path.dirname(realProgram('java')));
const JAVA = needsThat('a Java home', () => existsSync(`${javaHome()}/lib`), needs('java'));

describe('a Java virtual machine', JAVA, () => {
  test('is included without a warning', () => {
    const [java, home] = [realProgram('java'), javaHome()];
    const args = ['/nonexistent/jail', java, '--include', home, '--dry-run', '--json'];
    const { stdout, stderr } = jailbuild(args);
    assert.deepEqual(JSON.parse(stdout).missing, []);
    assert.doesNotMatch(stderr, /libjvm/);
  });
});

describe('files that Linux does not execute', needs('cc', 'gdb'), () => {
  before(() => writeFileSync(at('o.c'), 'int main(void) { return 0; }'));

  test('object files are refused as programs', () => {
    succeed('cc', ['-c', '-o', at('o.o'), at('o.c')]);
    fails('NOT_A_PROGRAM', /o\.o: is an object file, which Linux does not run/, [
      at('jail-o'),
      at('o.o'),
    ]);
  });

  test('core dumps are refused as programs', (t) => {
    succeed('cc', ['-o', at('o'), at('o.c')]);
    const commands = ['-ex', 'break main', '-ex', 'run', '-ex', `generate-core-file ${at('core')}`];
    const debugged = exec('gdb', ['-batch', ...commands, at('o')]);
    // Some sandboxes refuse tracing.
    if (!existsSync(at('core'))) return t.skip(`needs gdb to trace: ${debugged.stderr}`);
    fails('NOT_A_PROGRAM', /core: is a core dump, which Linux does not run/, [
      at('jail-core'),
      at('core'),
    ]);
  });
});
